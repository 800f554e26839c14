/** What the SDK uses of TensorFlow.js; the app passes it in, so that there is only ever one copy. */

import type * as core from "@tensorflow/tfjs-core";

/**
 * The umbrella `@tensorflow/tfjs`, `@tensorflow/tfjs-core` or `{ ...core, ...layers }`. Chained ops
 * (`x.add(y)`) are not needed.
 */
export type TensorFlow = Pick<
  typeof core,
  | "add"
  | "backend_util"
  | "dispose"
  | "div"
  | "engine"
  | "env"
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
