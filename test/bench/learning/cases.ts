/** What is measured: McMahan et al. 2017 with 100 clients, C = 0.1, E = 1, B = 10, learning rate 0.1. */

import type { DigitsJob } from "@tributary/example-digits";

export interface DigitsCase {
  readonly name: string;
  readonly job: Omit<DigitsJob, "seed" | "maxRounds" | "taskId">;
  readonly targetAccuracy: number;
  /** Rounds in which the target should be reached. */
  readonly goalRounds: number;
  /** Gives up after so many. */
  readonly maxRounds: number;
  /** Which of the reference curves are of the same experiment. */
  readonly reference: { readonly runs: "runs_2nn" | "runs_cnn"; readonly kind: "iid" | "noniid" };
}

const MC_MAHAN = { clients: 100, cohort: 10, epochs: 1, batchSize: 10, learningRate: 0.1 } as const;

export const DIGITS_CASES: readonly DigitsCase[] = [
  {
    name: "2nn-iid",
    job: { ...MC_MAHAN, model: "mlp", partition: { kind: "iid" } },
    targetAccuracy: 0.97,
    goalRounds: 50,
    maxRounds: 80,
    reference: { runs: "runs_2nn", kind: "iid" },
  },
  {
    name: "2nn-shards",
    job: { ...MC_MAHAN, model: "mlp", partition: { kind: "shards", shardsPerClient: 2 } },
    targetAccuracy: 0.97,
    goalRounds: 250,
    maxRounds: 350,
    reference: { runs: "runs_2nn", kind: "noniid" },
  },
  {
    name: "cnn-iid",
    job: { ...MC_MAHAN, model: "cnn", partition: { kind: "iid" } },
    targetAccuracy: 0.99,
    goalRounds: 40,
    maxRounds: 60,
    reference: { runs: "runs_cnn", kind: "iid" },
  },
];

/** One way to spend a budget. */
export interface PrivacyPlan {
  readonly rounds: number;
  /** Given, or the least that keeps `rounds` within `targetEpsilon`. */
  readonly noiseMultiplier?: number;
  readonly targetEpsilon?: number;
  /** Larger noise wants smaller steps. */
  readonly serverLearningRate: number;
}

export interface PrivacyCase {
  readonly name: string;
  readonly job: Omit<DigitsJob, "seed" | "maxRounds" | "taskId" | "privacy" | "serverLearningRate">;
  readonly clippingNorm: number;
  readonly delta: number;
  /** The accuracy that must be reached while epsilon is at most so much. */
  readonly goal: { readonly accuracy: number; readonly epsilon: number };
  readonly plans: readonly PrivacyPlan[];
  /** Accuracy is reported at each of these epsilons. */
  readonly epsilons: readonly number[];
}

/**
 * The digits of 539 people, who are the clients, in rounds of about 100 by Poisson sampling. Epochs, batch,
 * learning rates and clipping norm were chosen in a simulation on a part of the training images, judged by
 * the rest of them; the test images had no part in it, and no budget pays for it.
 */
export const PRIVACY_CASE: PrivacyCase = {
  name: "2nn-writers-privacy",
  job: {
    clients: 539,
    cohort: 100,
    epochs: 2,
    batchSize: 20,
    learningRate: 0.2,
    model: "mlp",
    partition: { kind: "writers" },
  },
  clippingNorm: 0.5,
  delta: 1e-3,
  goal: { accuracy: 0.91, epsilon: 9 },
  plans: [
    { rounds: 60, noiseMultiplier: 1, serverLearningRate: 3 },
    { rounds: 30, targetEpsilon: 2, serverLearningRate: 2 },
    { rounds: 20, targetEpsilon: 1, serverLearningRate: 1.5 },
    { rounds: 30, targetEpsilon: 4, serverLearningRate: 3 },
  ],
  epsilons: [1, 2, 3, 4, 5, 6, 7, 8, 9],
};

/** Fed-Heart-Disease: published figures within this are reached. */
export const HEART_CASE = "heart-disease";
export const HEART_TOLERANCE = 0.01;

export const CASE_NAMES: readonly string[] = [
  ...DIGITS_CASES.map(({ name }) => name),
  PRIVACY_CASE.name,
  HEART_CASE,
];
