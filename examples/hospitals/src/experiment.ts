/** The comparison: each strategy through a real coordinator with four clients, and training without it. */

import type { Client } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import type { Coordinator } from "@tributary/coordinator";
import { createCoordinator } from "@tributary/coordinator";
import type { TaskId } from "@tributary/protocol";
import { decodeCheckpoint, parseTaskId } from "@tributary/protocol";

import type { Hospital } from "./heart-disease.ts";
import { scale, scalePerCentre, scalingOf } from "./heart-disease.ts";
import { accuracy, initialWeights, TENSORS, trainAdam } from "./logistic.ts";
import { createLogisticTrainer } from "./logistic-trainer.ts";
import type { Strategy } from "./strategies.ts";
import { CENTRAL_PLAN, PUBLISHED_POOLED, SCHEDULE, STRATEGIES } from "./strategies.ts";

export interface Row {
  readonly name: string;
  /** Mean over seeds of the accuracy on each hospital's test patients. */
  readonly perCentre: readonly number[];
  /** Mean over hospitals and seeds: what is published. */
  readonly mean: number;
  /** Sample standard deviation of the mean over hospitals, from seed to seed. */
  readonly deviation: number;
  readonly published?: number;
}

export interface Comparison {
  /** Run one by one; by default all. */
  readonly strategies?: readonly Strategy[];
  readonly seeds: readonly number[];
  readonly rounds?: number;
  readonly onRow?: (row: Row) => void;
}

/** Runs everything. @param hospitals unscaled */
export async function compareStrategies(
  hospitals: readonly Hospital[],
  { strategies = STRATEGIES, seeds, rounds = SCHEDULE.rounds, onRow }: Comparison,
): Promise<Row[]> {
  const rows: Row[] = [];
  const add = (row: Row) => {
    rows.push(row);
    onRow?.(row);
  };
  const scaled = scalePerCentre(hospitals);
  for (const row of centralRows(hospitals, scaled, seeds)) add(row);

  await using coordinator = await createCoordinator({
    config: { server: { port: 0 }, storage: { kind: "memory" }, log: { level: "warn" } },
  });
  const { url } = await coordinator.listen();
  const clients = scaled.map(() => createClient({ url }));
  try {
    for (const strategy of strategies) {
      const runs: number[][] = [];
      for (const seed of seeds) {
        const weights = await trainFederated(coordinator, clients, scaled, {
          strategy,
          seed,
          rounds,
        });
        runs.push(scaled.map(({ test }) => accuracy(weights, test)));
      }
      add(summarize(strategy.name, runs, strategy.published));
    }
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
  return rows;
}

interface FederatedRun {
  readonly strategy: Strategy;
  readonly seed: number;
  readonly rounds: number;
}

async function trainFederated(
  coordinator: Coordinator,
  clients: readonly Client[],
  hospitals: readonly Hospital[],
  { strategy, seed, rounds }: FederatedRun,
): Promise<Float32Array> {
  const { learningRate, proximalMu, serverOptimizer } = strategy;
  const taskId = parseTaskId(`${strategy.name.toLowerCase()}-${seed}`);
  await coordinator.tasks.create(
    {
      taskId,
      description: `Fed-Heart-Disease, ${strategy.name}`,
      model: { tensors: TENSORS },
      plan: { epochs: 1, batchSize: SCHEDULE.batchSize, learningRate, proximalMu },
      sampler: { kind: "all" },
      weighting: { kind: "byExamples", cap: 1000 },
      serverOptimizer,
      schedule: { minClients: hospitals.length, minReports: hospitals.length },
      stop: { maxRounds: rounds },
    },
    initialWeights(seed),
  );
  const ends = await Promise.all(
    hospitals.map(({ train }, i) => {
      const client = clients[i] as Client;
      const trainer = createLogisticTrainer({
        patients: train,
        steps: SCHEDULE.steps,
        seed: 1000 * seed + i,
      });
      return client.join(taskId, { trainer }).done;
    }),
  );
  const task = await coordinator.tasks.get(taskId);
  if (task.endReason !== "maxRoundsReached") {
    throw new Error(`${taskId} ended early: ${JSON.stringify(ends)}`);
  }
  return newestWeights(coordinator, taskId);
}

async function newestWeights(coordinator: Coordinator, taskId: TaskId): Promise<Float32Array> {
  const { layout, checkpoint } = await coordinator.tasks.get(taskId);
  return decodeCheckpoint(layout, await coordinator.models.checkpoint(checkpoint.digest)).weights;
}

/** Training without federation, on the same start and data. */
function centralRows(
  raw: readonly Hospital[],
  scaled: readonly Hospital[],
  seeds: readonly number[],
): Row[] {
  const all = raw.flatMap(({ train }) => train);
  const joint = scalingOf(all);
  const pooled = seeds.map((seed) =>
    trainAdam(initialWeights(seed), scale(all, joint), CENTRAL_PLAN, seed),
  );
  const judgePooled = (tests: readonly Hospital["test"][]) =>
    pooled.map((weights) => tests.map((test) => accuracy(weights, test)));
  const local = seeds.map((seed) =>
    scaled.map(({ train, test }) =>
      accuracy(trainAdam(initialWeights(seed), train, CENTRAL_PLAN, seed), test),
    ),
  );
  return [
    summarize("local only", local),
    // FLamby scales the pooled training set as one, and each hospital's test set by its own scaling.
    summarize("pooled", judgePooled(scaled.map(({ test }) => test)), PUBLISHED_POOLED),
    summarize("pooled, one scaling", judgePooled(raw.map(({ test }) => scale(test, joint)))),
  ];
}

/** @param runs accuracy by seed, then by hospital */
function summarize(name: string, runs: readonly (readonly number[])[], published?: number): Row {
  const meanOf = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const means = runs.map(meanOf);
  const mean = meanOf(means);
  const squares = means.map((value) => (value - mean) ** 2);
  return {
    name,
    perCentre: (runs[0] ?? []).map((_, centre) => meanOf(runs.map((run) => run[centre] ?? 0))),
    mean,
    deviation:
      means.length < 2 ? 0 : Math.sqrt((meanOf(squares) * means.length) / (means.length - 1)),
    ...(published === undefined ? {} : { published }),
  };
}
