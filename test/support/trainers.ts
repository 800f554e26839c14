/** Trainers and predictors without TF.js, for tests of everything around training. */

import type { Predictor, Trainer } from "@tributary/client-sdk";

export interface CountingTrainer extends Trainer {
  /** Trainings that were begun. */
  readonly begun: number;
  /** Trainings that came to their end. */
  readonly finished: number;
}

/** Moves every weight by `step`; waits for `gate` before it finishes. */
export function countingTrainer(
  options: { step?: number; gate?: () => Promise<void> } = {},
): CountingTrainer {
  const counts = { begun: 0, finished: 0 };
  return {
    get begun() {
      return counts.begun;
    },
    get finished() {
      return counts.finished;
    },
    train: async ({ weights, signal }) => {
      counts.begun += 1;
      await options.gate?.();
      signal.throwIfAborted();
      counts.finished += 1;
      const step = options.step ?? 1;
      return { weights: weights.map((weight) => weight + step), numExamples: 1, metrics: {} };
    },
  };
}

/** Answers with the sum of the weights. */
export const sumPredictor: Predictor<null, number> = {
  load: async (weights) => {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { predict: async () => sum, dispose: () => {} };
  },
};
