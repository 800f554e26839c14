/** What `tune.ts` compares: a task, clients that are not to be relied on, and schedules for them. */

import type { BehaviourInput } from "@tributary/coordinator/simulation";
import type { TaskSpecInput, TensorSpec } from "@tributary/protocol";

/** Phones: some three times as slow as others, one training in eight does not come to its end. */
export const UNRELIABLE: BehaviourInput = {
  training: { medianMs: 20_000, deviceSpread: 0.8 },
  dropOut: { training: 0.1, upload: 0.03, silentShare: 0.5 },
  availability: { onlineShare: 0.8, visitMs: 1_800_000 },
};

export interface TuningSchedule {
  readonly overSelection: number;
  readonly reportWindowMs: number;
}

export const schedules: readonly (TuningSchedule & { readonly name: string })[] = [
  { name: "as many as needed, 5 min", overSelection: 0, reportWindowMs: 300_000 },
  { name: "30 % more, 5 min", overSelection: 0.3, reportWindowMs: 300_000 },
  { name: "as many as needed, 1 min", overSelection: 0, reportWindowMs: 60_000 },
  { name: "30 % more, 1 min", overSelection: 0.3, reportWindowMs: 60_000 },
  { name: "twice as many, 30 s", overSelection: 1, reportWindowMs: 30_000 },
];

/** A cohort of ten, which most of the ten must answer for. */
export function tuningTask(
  tensors: readonly TensorSpec[],
  { overSelection, reportWindowMs }: TuningSchedule,
  rounds: number,
): TaskSpecInput {
  return {
    taskId: "digits",
    model: { tensors },
    plan: { epochs: 1, batchSize: 10, learningRate: 0.1, seed: 1 },
    sampler: { kind: "uniform", cohortSize: 10, overSelection, seed: 1 },
    schedule: { minClients: 100, minReports: 7, reportWindowMs },
    stop: { maxRounds: rounds },
    evaluation: { kind: "central", evaluator: "mnist-test" },
  };
}
