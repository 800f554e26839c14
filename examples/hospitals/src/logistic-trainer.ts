/** A trainer for logistic regression: what a hospital runs, without TensorFlow.js. */

import type { Trainer } from "@tributary/client-sdk";

import type { Patient } from "./heart-disease.ts";
import { addGradient, createBatchStream } from "./logistic.ts";
import { createMersenneTwister } from "./mersenne-twister.ts";

export interface LogisticTrainerOptions {
  readonly patients: readonly Patient[];
  /**
   * Steps in a round, whatever the number of patients: hospitals of all sizes do the same work, as in
   * FLamby. Takes the place of the plan's epochs.
   */
  readonly steps: number;
  /** Decides the order of patients over all rounds; the plan's own seed is not used. */
  readonly seed: number;
}

/** SGD with the plan's learning rate, batch size and FedProx term, `plan.proximalMu`. */
export function createLogisticTrainer(options: LogisticTrainerOptions): Trainer {
  const { patients, steps, seed } = options;
  const random = createMersenneTwister(seed);
  let stream: ReturnType<typeof createBatchStream> | undefined;
  return {
    train: async ({ weights: received, plan, signal }) => {
      const { learningRate, proximalMu, batchSize } = plan;
      // Goes on where the round before stopped: no patient is seen twice before all were seen once.
      stream ??= createBatchStream(patients, batchSize, random);
      const weights = Float64Array.from(received);
      let loss = 0;
      for (let step = 0; step < steps; step++) {
        signal.throwIfAborted();
        const gradient = new Float64Array(weights.length);
        loss += addGradient(weights, stream.next(), gradient);
        for (let j = 0; j < weights.length; j++) {
          const w = weights[j] as number;
          const proximal = proximalMu * (w - (received[j] as number));
          weights[j] = w - learningRate * ((gradient[j] as number) + proximal);
        }
      }
      return {
        weights: Float32Array.from(weights),
        numExamples: patients.length,
        metrics: { trainLoss: loss / steps },
      };
    },
  };
}
