/** Trains one model on one backend of TensorFlow.js, once for each turn that it is given; in a process of its own. */

import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";

import * as tensorflow from "@tensorflow/tfjs";
import type { NodeBackend } from "@tributary/client-sdk/node";
import { chooseBackend } from "@tributary/client-sdk/node";
import { describeModel } from "@tributary/client-sdk/tfjs";
import type { TrainingPlan } from "@tributary/protocol";
import { createLayout } from "@tributary/protocol";

import type { ModelName, Tf } from "../browser/pages/workload.ts";
import { buildModel, makeTrainer } from "../browser/pages/workload.ts";
import { answerTurns } from "./reference-process.ts";

export interface TrainingCase {
  readonly backend: NodeBackend | "stock wasm";
  readonly model: ModelName;
  readonly batchSize: number;
  readonly examples: number;
}

const { backend, model, batchSize, examples } = JSON.parse(process.argv[2] ?? "") as TrainingCase;

// Nothing but times goes to stdout.
console.log = console.info = console.warn = () => {};
const tf = tensorflow as unknown as Tf;
if (backend === "stock wasm") await useStockWasm();
else await chooseBackend({ tf, prefer: backend });

const trainer = makeTrainer(tf, { model, examples });
const { tensors, initialWeights } = await describeModel(buildModel(tf, model));
const layout = await createLayout(tensors);
const { signal } = new AbortController();
const plan: TrainingPlan = {
  epochs: 1,
  batchSize,
  learningRate: 0.01,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
};
await answerTurns(backend, () =>
  trainer.train({ weights: initialWeights.slice(), layout, plan, signal }),
);

/** As TensorFlow.js has it, without the kernels that `chooseBackend` adds. */
async function useStockWasm(): Promise<void> {
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"));
  setWasmPaths(join(folder, "dist") + sep);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  await tf.setBackend("wasm");
}
