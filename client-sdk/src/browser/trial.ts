/** One step of training on the backend that is set, timed as training will take it: the trainer's own, on real data. */

import { createLayout } from "@tributary/protocol";

import type { TensorFlow } from "../tfjs/tensorflow.ts";
import { createTfjsTrainer } from "../tfjs/tfjs-trainer.ts";
import { describeModel } from "../tfjs/weights.ts";
import type { BackendTrial } from "./backend.ts";

/** The first run compiles shaders and warms caches up, and does not count. */
const RUNS = 3;

/** Milliseconds of the fastest of a few steps. @throws FederatedError as a trainer does */
export async function timeStep(
  tf: TensorFlow,
  trial: BackendTrial,
  now: () => number,
): Promise<number> {
  const { batchSize } = trial;
  const model = await trial.model();
  const trainer = createTfjsTrainer({ ...trial, tf, model });
  try {
    const { tensors, initialWeights } = await describeModel(model);
    const layout = await createLayout(tensors);
    const step = async () => {
      const start = now();
      await trainer.train({
        ...{ weights: initialWeights, layout, signal: new AbortController().signal },
        plan: {
          ...{ epochs: 1, batchSize, maxExamples: batchSize, learningRate: 1e-3, seed: 1 },
          ...{ optimizer: { kind: "sgd" }, proximalMu: 0 },
          ...{ evaluate: false, encoding: { kind: "float32" }, compression: "none" },
        },
      });
      return now() - start;
    };
    await step();
    let fastest = Infinity;
    for (let run = 0; run < RUNS; run++) fastest = Math.min(fastest, await step());
    return fastest;
  } finally {
    trainer.dispose?.();
    model.dispose();
  }
}

interface Layer {
  getClassName(): string;
  readonly layers?: readonly Layer[];
}

/** Convolutions and embeddings: where plain JavaScript takes hundreds of times as long. Also where nothing is known. */
export async function trainsSlowlyOnCpu(trial: BackendTrial | undefined): Promise<boolean> {
  if (trial === undefined) return true;
  const model = await trial.model();
  try {
    return isSlow(model);
  } finally {
    model.dispose();
  }
}

const isSlow = (layer: Layer): boolean =>
  /Conv|Embedding/.test(layer.getClassName()) || (layer.layers?.some(isSlow) ?? false);
