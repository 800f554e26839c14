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

/** Fed-Heart-Disease: published figures within this are reached. */
export const HEART_CASE = "heart-disease";
export const HEART_TOLERANCE = 0.01;

export const CASE_NAMES: readonly string[] = [...DIGITS_CASES.map(({ name }) => name), HEART_CASE];
