/** The task that page and Node clients train. */

import type { TaskSpecInput, TensorSpec } from "@tributary/protocol";

export const TASK_ID = "digits";
/** Name under which the coordinator knows the evaluator of the test images. */
export const EVALUATOR = "mnist-test";

/** L2 norm that an update is clipped to: about what an honest one has in the first rounds. */
export const CLIPPING_NORM = 1;

export interface RoundOptions {
  /** Node clients: a round waits for so many. */
  readonly neighbours: number;
  /** Rest between two rounds. */
  readonly pauseMs: number;
  /** Absent: no end. */
  readonly maxRounds?: number;
}

/** Everybody who waits takes part, and counts by the number of examples. */
export function createDigitsTask(
  { neighbours, pauseMs, maxRounds }: RoundOptions,
  tensors: readonly TensorSpec[],
): TaskSpecInput {
  return {
    taskId: TASK_ID,
    description: "Handwritten digits: MNIST in Node clients, and what visitors draw",
    model: { tensors },
    plan: { epochs: 1, batchSize: 10, learningRate: 0.1, optimizer: { kind: "sgd" } },
    sampler: { kind: "all" },
    weighting: { kind: "byExamples", cap: 1000 },
    clippingNorm: CLIPPING_NORM,
    schedule: {
      minClients: neighbours,
      minReports: Math.ceil(neighbours / 2),
      selectionDeadlineMs: 5_000,
      // A phone is slow, and one that has gone is not waited for ever.
      reportWindowMs: 20_000,
      pauseBetweenRoundsMs: pauseMs,
    },
    stop: maxRounds === undefined ? {} : { maxRounds },
    evaluation: { kind: "central", evaluator: EVALUATOR },
  };
}
