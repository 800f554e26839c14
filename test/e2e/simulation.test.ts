import { fileURLToPath } from "node:url";

import { createClient } from "@tributary/client-sdk";
import type { PopulationSource } from "@tributary/coordinator/simulation";
import { simulate, simulatedClientKey } from "@tributary/coordinator/simulation";
import type { TaskId, TaskSpec, TaskSpecInput } from "@tributary/protocol";
import { createLayout } from "@tributary/protocol";
import { expect, test } from "vitest";

import { startCoordinator } from "../support/coordinator.ts";
import { clients as corners, cornersTensors } from "../support/simulated-corners.ts";

const SEED = 11;

/** The task over real sockets, with clients that have the keys of the virtual ones. @returns the newest digest */
async function runForReal(task: TaskSpecInput, source: PopulationSource): Promise<string> {
  const layout = await createLayout(task.model.tensors);
  const population = await source({ seed: SEED, layout, task: task as unknown as TaskSpec });
  const { evaluator } = population;
  await using running = await startCoordinator(
    evaluator === undefined ? {} : { evaluators: { corners: evaluator } },
  );
  await running.coordinator.tasks.create(task, population.initialWeights);
  const real = await Promise.all(
    Array.from({ length: population.size }, async (_, index) => {
      const client = createClient({
        url: running.url,
        clientKey: simulatedClientKey(SEED, index),
      });
      const trainer = await population.trainer(index);
      return { client, participant: client.join(task.taskId, { trainer }) };
    }),
  );
  await Promise.all(real.map(({ participant }) => participant.done));
  const { digest } = await running.coordinator.models.get(task.taskId as TaskId, "latest");
  await Promise.all(real.map(({ client }) => client.close()));
  return digest;
}

/** Steps that are sums of few bits, so that no order of summation rounds them. */
const exact: PopulationSource = ({ layout: { parameterCount } }) => ({
  size: 9,
  initialWeights: new Float32Array(parameterCount).fill(0.5),
  trainer: (index) => ({
    train: async ({ weights, plan }) => {
      const towards = (w: number, i: number) =>
        w + plan.learningRate * (((index * 7 + i) % 13) - w);
      const trained = weights.map((w, i) => Math.round(towards(w, i) * 4096) / 4096);
      const seeded = (plan.seed ?? 0) % 5;
      return {
        weights: trained.map((w) => w + seeded / 8),
        numExamples: 10 + index,
        metrics: { trainLoss: 1 },
      };
    },
  }),
});

test("[SI2] with all randomness seeded it gives, byte for byte, the model of a coordinator with real clients", async () => {
  const task: TaskSpecInput = {
    taskId: "exact",
    model: { tensors: [{ name: "w", shape: [40] }] },
    plan: { learningRate: 0.25, seed: 5 },
    sampler: { kind: "uniform", cohortSize: 4, overSelection: 0, seed: 3 },
    serverOptimizer: { kind: "adam", learningRate: 0.1 },
    clippingNorm: 1024,
    schedule: { minClients: 9, minReports: 4, pauseBetweenRoundsMs: 0 },
    stop: { maxRounds: 5 },
  };
  const simulated = await simulate({
    task,
    clients: { kind: "program", source: exact },
    seed: SEED,
  });
  expect(simulated.report.totals).toMatchObject({ committed: 5, counted: 20 });
  expect(await runForReal(task, exact)).toBe(simulated.report.model.digest);
  const other = await simulate({ task, clients: { kind: "program", source: exact }, seed: 12 });
  expect(other.report.model.digest).not.toBe(simulated.report.model.digest);
});

test("[SI2] quantised updates, and shares of which clients keep the rest, are as real clients send them", async () => {
  const sparse = { kind: "topK", fraction: 0.25, values: "int8", feedback: true } as const;
  for (const encoding of [{ kind: "int8" } as const, sparse]) {
    const task: TaskSpecInput = {
      taskId: "encoded",
      model: { tensors: [{ name: "w", shape: [40] }] },
      plan: { learningRate: 0.25, seed: 5, encoding },
      sampler: { kind: "uniform", cohortSize: 2, overSelection: 0, seed: 3 },
      schedule: { minClients: 9, minReports: 2, pauseBetweenRoundsMs: 0 },
      stop: { maxRounds: 8 },
    };
    const clients = { kind: "program", source: exact } as const;
    const { report } = await simulate({ task, clients, seed: SEED });
    expect(await runForReal(task, exact)).toBe(report.model.digest);
  }
});

test("[SI2] [SI5] TF.js trains in one thread, in two, and in real clients to the same bytes", async () => {
  const tensors = await cornersTensors();
  const task: TaskSpecInput = {
    taskId: "corners",
    model: { tensors },
    plan: { epochs: 2, batchSize: 5, learningRate: 0.1, seed: 5 },
    sampler: { kind: "all" },
    evaluation: { kind: "central", evaluator: "corners" },
    schedule: { minClients: 2 },
    stop: { maxRounds: 4 },
  };
  const file = fileURLToPath(new URL("../support/simulated-corners.ts", import.meta.url));
  const clients = { kind: "module", file } as const;
  const one = await simulate({ task, clients, seed: SEED, threads: 1 });
  const two = await simulate({ task, clients, seed: SEED, threads: 2 });
  expect(two.report).toEqual(one.report);
  expect(one.report.evaluation?.accuracy).toBeGreaterThan(0.9);
  expect(await runForReal(task, corners)).toBe(one.report.model.digest);
});
