/** A page whose Workers are in trouble. */

import { connectWorker, type WorkerOptions } from "@tributary/client-sdk/worker";
import { createLayout, isFederatedError, type TrainingPlan } from "@tributary/protocol";

import { expose } from "./expose.ts";

const PLAN: TrainingPlan = {
  epochs: 1,
  batchSize: 1,
  learningRate: 0.1,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
};
const SIZE = 1_000;

const start = (name: string) =>
  name === "missing"
    ? new Worker("/no-such-file.js", { type: "module" })
    : new Worker(new URL("./troubled-worker.ts", import.meta.url), { type: "module", name });

const codeOf = (error: unknown) => (isFederatedError(error) ? error.code : String(error));
const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export const functions = expose({
  /** Asks a Worker to train, twice; tells how each went, what there was of progress, and how it ended. */
  train: async (name: string, options: WorkerOptions = {}) => {
    const worker = start(name);
    const connection = connectWorker(worker, options);
    const layout = await createLayout([{ name: "w", shape: [SIZE] }]);
    const signal = new AbortController().signal;
    const progress: number[] = [];
    const once = async () => {
      const { weights } = await connection.trainer.train({
        weights: new Float32Array(SIZE).fill(2),
        layout,
        plan: PLAN,
        signal,
        onProgress: ({ loss }) => progress.push(loss),
      });
      return { sum: weights.reduce((sum, weight) => sum + weight, 0) };
    };
    const outcome = () =>
      once().catch((error: unknown) => ({ code: codeOf(error), text: textOf(error) }));
    const outcomes = [await outcome(), await outcome()];
    connection.close();
    worker.terminate();
    const ended = await connection.ended;
    return { outcomes, progress, ended: ended?.code ?? null };
  },
});
