/** The tasks of a kill run, side by side: one that can be counted again, one under privacy, one that is short of clients. */

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

export const COUNTED = "counted";

export const TASKS: readonly TaskSpecInput[] = [
  {
    taskId: COUNTED,
    model,
    sampler,
    schedule,
    weighting: { kind: "uniform" },
    evaluation: { kind: "central", evaluator: "slow" },
  },
  {
    taskId: "private",
    model,
    sampler,
    schedule,
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 4, delta: 1e-6, maxEpsilon: 1e6 },
    // Has a state, and so a second file for each version.
    serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 },
  },
  {
    // One client comes, two are needed: rounds select for a while and are abandoned.
    taskId: "lonely",
    model,
    schedule: { ...schedule, minClients: 3, minReports: 2, selectionDeadlineMs: 150 },
  },
];

/** Which tasks each client joins. */
export const JOINED: readonly (readonly string[])[] = Array.from({ length: CLIENTS }, (_, index) =>
  index === 0 ? [COUNTED, "private", "lonely"] : [COUNTED, "private"],
);

/** A config file for `tributary start`, with an evaluator that makes aggregations last. */
export async function writeConfig(folder: string): Promise<string> {
  const file = join(folder, "chaos.config.mjs");
  await writeFile(
    file,
    `export const config = {
  timing: { abandonedRetryMs: 20, disconnectGraceMs: 20000 },
  log: { level: "error" },
  tasks: ${JSON.stringify(TASKS.map((spec) => ({ spec })))},
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
