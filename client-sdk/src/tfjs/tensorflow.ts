/** What the SDK uses of TensorFlow.js; the app passes it in, so that there is only ever one copy. */

import type * as core from "@tensorflow/tfjs-core";

/**
 * The umbrella `@tensorflow/tfjs`, `@tensorflow/tfjs-core` or `{ ...core, ...layers }`. Chained ops
 * (`x.add(y)`) are not needed here; the default initializer of TF.js's own LSTM and GRU layers needs them
 * (the umbrella has them, core has `dist/public/chained_ops/register_all_chained_ops`).
 */
export type TensorFlow = Pick<
  typeof core,
  | "add"
  | "backend_util"
  | "dispose"
  | "div"
  | "engine"
  | "env"
  | "findBackendFactory"
  | "getBackend"
  | "getKernelsForBackend"
  | "keep"
  | "log"
  | "logSoftmax"
  | "mean"
  | "memory"
  | "mul"
  | "neg"
  | "ready"
  | "registerKernel"
  | "removeBackend"
  | "reshape"
  | "scalar"
  | "setBackend"
  | "slice_util"
  | "softplus"
  | "sqrt"
  | "square"
  | "squaredDifference"
  | "sub"
  | "sum"
  | "tensor"
  | "tidy"
  | "unregisterKernel"
  | "variableGrads"
  | "zerosLike"
>;
