/** One training job on MNIST: its settings, the task made of them, and each client's images. */

import { createHash } from "node:crypto";

import type { TaskSpecInput, TensorSpec } from "@tributary/protocol";

import type { LabelledImages } from "./data.ts";
import { loadTrainWriters } from "./data.ts";
import type { ModelKind } from "./model.ts";
import type { Partition, PartitionSpec } from "./partition.ts";
import { partitionByWriter, partitionImages } from "./partition.ts";
import { createSeededRandom } from "./random.ts";

/** Everything that decides what is learned. Plain data: it travels to other processes. */
export interface DigitsJob {
  readonly taskId: string;
  readonly model: ModelKind;
  readonly partition: PartitionSpec | { readonly kind: "writers" };
  /** Clients the images are dealt to; with `writers` the file decides. */
  readonly clients: number;
  /** Clients in a round; under privacy the expected number. */
  readonly cohort: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  /** How many times the mean delta is added; 1, as in FedAvg, where absent. */
  readonly serverLearningRate?: number;
  /** Decides partition, first weights, cohorts (without privacy) and the order of batches. */
  readonly seed: number;
  /** Absent under privacy: the budget ends the training. */
  readonly maxRounds?: number;
  /** Stops at this accuracy on the test images, too. */
  readonly targetAccuracy?: number;
  readonly privacy?: DigitsPrivacy;
}

export interface DigitsPrivacy {
  readonly noiseMultiplier: number;
  readonly clippingNorm: number;
  readonly maxEpsilon: number;
  readonly delta: number;
}

/** Name under which the coordinator knows the evaluator of the 10 000 test images. */
export const EVALUATOR = "mnist-test";

/** A client that has gone is waited for so long in each round, not for ever. */
const SELECTION_DEADLINE_MS = 15_000;

/** The task as the coordinator takes it. */
export function createDigitsTask(job: DigitsJob, tensors: readonly TensorSpec[]): TaskSpecInput {
  const { privacy } = job;
  return {
    taskId: job.taskId,
    description: `MNIST digits, ${job.model}, ${job.partition.kind}, ${job.clients} clients`,
    model: { tensors },
    plan: {
      epochs: job.epochs,
      batchSize: job.batchSize,
      learningRate: job.learningRate,
      optimizer: { kind: "sgd" },
      seed: job.seed,
    },
    sampler:
      privacy === undefined
        ? { kind: "uniform", cohortSize: job.cohort, overSelection: 0, seed: job.seed }
        : { kind: "poisson", samplingRate: job.cohort / job.clients, population: job.clients },
    weighting: privacy === undefined ? { kind: "byExamples", cap: 60_000 } : { kind: "uniform" },
    serverOptimizer: { kind: "sgd", learningRate: job.serverLearningRate ?? 1 },
    ...(privacy === undefined
      ? {}
      : {
          clippingNorm: privacy.clippingNorm,
          privacy: {
            mechanism: "central",
            noiseMultiplier: privacy.noiseMultiplier,
            delta: privacy.delta,
            maxEpsilon: privacy.maxEpsilon,
          },
        }),
    schedule: {
      // All of them, so that a seed chooses the same cohorts again.
      minClients: job.clients,
      minReports: privacy === undefined ? Math.ceil(job.cohort / 2) : 1,
      selectionDeadlineMs: SELECTION_DEADLINE_MS,
      reportWindowMs: 15 * 60_000,
      aggregationDeadlineMs: 5 * 60_000,
      pauseBetweenRoundsMs: 0,
    },
    stop: {
      ...(job.maxRounds === undefined ? {} : { maxRounds: job.maxRounds }),
      ...(job.targetAccuracy === undefined
        ? {}
        : { target: { metric: "accuracy", value: job.targetAccuracy } }),
    },
    evaluation: { kind: "central", evaluator: EVALUATOR },
  };
}

/** What decides the model, of a task as it was written or as the coordinator completed it: equal for equal ones. */
export function settingsOf(
  task: Pick<
    TaskSpecInput,
    "model" | "description" | "plan" | "stop" | "serverOptimizer" | "clippingNorm" | "privacy"
  >,
): string {
  const privacy = task.privacy?.mechanism === "central" ? task.privacy : undefined;
  return JSON.stringify([
    task.description,
    task.model.tensors.map(({ name, shape }) => [name, shape]),
    task.plan?.epochs,
    task.plan?.batchSize,
    task.plan?.learningRate,
    task.plan?.seed,
    task.serverOptimizer?.learningRate,
    task.stop?.maxRounds,
    task.stop?.target?.value,
    task.clippingNorm,
    privacy?.noiseMultiplier,
    privacy?.maxEpsilon,
    privacy?.delta,
  ]);
}

/** The images of every client. @throws Error without the writers' file, RangeError as `partitionImages` */
export async function partitionFor(job: DigitsJob, train: LabelledImages): Promise<Partition> {
  const { partition, seed, clients } = job;
  if (partition.kind !== "writers") {
    return partitionImages(train.labels, clients, partition, createSeededRandom(seed, 1));
  }
  const writers = await loadTrainWriters();
  if (writers === undefined) {
    throw new Error(
      "--partition writers needs mnist-writers/mnist-writers.u16le.bin.gz (NIST writer of each image) in the folder that TRIBUTARY_DATA_DIR names",
    );
  }
  return partitionByWriter(writers);
}

/**
 * The secret of virtual client `index`, the same in every run of a job: whoever reads the seed can be
 * that client, which is right for an experiment and for nothing else.
 */
export function clientKeyOf(job: DigitsJob, index: number): string {
  return createHash("sha256").update(`digits/${job.seed}/${index}`).digest("base64url");
}
