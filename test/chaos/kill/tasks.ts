/** The tasks of a kill run, side by side: some that can be counted again, some under privacy, one that is short of clients. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { TaskSpecInput } from "@tributary/protocol";

import { CLIENTS } from "./fleet.ts";

const model = { tensors: [{ name: "w", shape: [2] }] };
// Fewer places than clients: a cohort that were drawn again would be another one.
const sampler = { kind: "uniform", cohortSize: 4, overSelection: 0 } as const;
const schedule = {
  minClients: 5,
  minReports: 3,
  selectionDeadlineMs: 5_000,
  reportWindowMs: 20_000,
  pauseBetweenRoundsMs: 20,
};

/** What stands side by side in one run. Each has a task "private" under central noise, which is steered. */
export interface TaskSet {
  readonly tasks: readonly TaskSpecInput[];
  /** Whose models tell who was counted: steps that add up, equal weights, no noise. */
  readonly counted: readonly string[];
  /** Whose models tell the median of those who were counted. */
  readonly medians: readonly string[];
  /** By client: which tasks it joins. */
  readonly joined: readonly (readonly string[])[];
}

export type TaskSetName = "plain" | "encoded";

/** All of these for every client, and the lonely one for the first. */
const joinedBy = (tasks: readonly TaskSpecInput[]) =>
  Array.from({ length: CLIENTS }, (_, index) => [
    ...tasks.map(({ taskId }) => taskId),
    ...(index === 0 ? [lonely.taskId] : []),
  ]);

const slowly = { evaluation: { kind: "central", evaluator: "slow" } } as const;
const counted: TaskSpecInput = {
  ...{ taskId: "counted", model, sampler, schedule, ...slowly },
  weighting: { kind: "uniform" },
};
const privately: TaskSpecInput = {
  ...{ taskId: "private", model, sampler, schedule, clippingNorm: 1 },
  privacy: { mechanism: "central", noiseMultiplier: 4, delta: 1e-6, maxEpsilon: 1e6 },
  // Has a state, and so a second file for each version.
  serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 },
};
const lonely: TaskSpecInput = {
  // One client comes, two are needed: rounds select for a while and are abandoned.
  ...{ taskId: "lonely", model },
  schedule: { ...schedule, minClients: 3, minReports: 2, selectionDeadlineMs: 150 },
};

const int8 = { encoding: { kind: "int8" } } as const;
/** Of equal steps no encoding loses anything: who was counted can be read off as before. */
const encoded: readonly TaskSpecInput[] = [
  { ...counted, plan: int8 },
  {
    ...counted,
    taskId: "shares",
    plan: { encoding: { kind: "topK", fraction: 1, values: "int8", feedback: true } },
  },
  // Copies and deltas, and a rule over all updates, which are kept until the round is aggregated.
  {
    ...{ taskId: "robust", model, sampler, schedule, ...slowly, plan: int8 },
    aggregation: { kind: "median" },
    serving: { encodings: ["bfloat16", "int8"] },
  },
  { ...privately, plan: int8 },
  {
    ...{ taskId: "matrix", model, sampler, schedule, clippingNorm: 1, plan: int8 },
    privacy: {
      ...{ mechanism: "matrix", noiseMultiplier: 4, delta: 1e-6, maxEpsilon: 1e9 },
      ...{ rounds: 2000, minSeparation: 1, maxParticipations: 2000 },
      factorization: { kind: "tree" },
    },
  },
];

export const TASK_SETS: Readonly<Record<TaskSetName, TaskSet>> = {
  plain: {
    tasks: [counted, privately, lonely],
    counted: ["counted"],
    medians: [],
    joined: joinedBy([counted, privately]),
  },
  encoded: {
    tasks: [...encoded, lonely],
    counted: ["counted", "shares"],
    medians: ["robust"],
    joined: joinedBy(encoded),
  },
};

/** A config file for `tributary start`, with an evaluator that makes aggregations last. */
export async function writeConfig(
  folder: string,
  tasks: readonly TaskSpecInput[],
): Promise<string> {
  const file = join(folder, "chaos.config.mjs");
  await writeFile(
    file,
    `export const config = {
  timing: { abandonedRetryMs: 20, disconnectGraceMs: 20000 },
  log: { level: "error" },
  tasks: ${JSON.stringify(tasks.map((spec) => ({ spec })))},
};
export const evaluators = {
  slow: {
    evaluate: async () => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      return { source: "central", numExamples: 1, loss: 0.5 };
    },
  },
};
`,
  );
  return file;
}
