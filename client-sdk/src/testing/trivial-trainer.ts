/** A trainer without a model or data: it moves every weight by a known step. */

import { abortedError } from "../delay.ts";
import type { Trainer } from "../trainer.ts";

export interface TrivialTrainerOptions {
  /** Added to every weight in every round. Default 1. */
  readonly step?: number;
  /** What the updates report. Default 1. */
  readonly numExamples?: number;
}

export interface TrivialTrainer extends Trainer {
  /** Trainings that have begun. */
  readonly trainings: number;
}

/**
 * With clients of steps a and b and equal numbers of examples, FedAvg at server learning rate 1 moves
 * every weight by (a + b) / 2 per round: tests can predict the model.
 */
export function createTrivialTrainer({
  step = 1,
  numExamples = 1,
}: TrivialTrainerOptions = {}): TrivialTrainer {
  let trainings = 0;
  return {
    get trainings() {
      return trainings;
    },
    train: async ({ weights, plan, signal, onProgress }) => {
      if (signal.aborted) throw abortedError(signal.reason);
      trainings += 1;
      const { epochs } = plan;
      const loss = Math.abs(step);
      const progress = { epochs, batch: 1, batches: 1, examples: epochs * numExamples, loss };
      onProgress?.({ ...progress, epoch: epochs });
      const trained = weights.map((weight) => weight + step);
      return { weights: trained, numExamples, metrics: { trainLoss: loss } };
    },
  };
}
