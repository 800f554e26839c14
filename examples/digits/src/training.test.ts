import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as tf from "@tensorflow/tfjs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { PrivacyResource, RoundResource } from "@tributary/protocol";
import { parseTaskId, routes } from "@tributary/protocol";

import { budgetOf, epsilonText } from "./budget.ts";
import { startFleetPool } from "./fleet-pool.ts";
import type { DigitsJob } from "./job.ts";
import { serveDigits } from "./serving.ts";
import { createRoundTable } from "./table.ts";
import { mostProbable, openTraining, OtherTaskError } from "./training.ts";

// Real training, on machines that do other things as well.
vi.setConfig({ testTimeout: 120_000 });

const job: DigitsJob = {
  taskId: "digits",
  model: "mlp",
  partition: { kind: "iid" },
  clients: 100,
  cohort: 3,
  epochs: 1,
  batchSize: 50,
  learningRate: 0.1,
  seed: 1,
  maxRounds: 3,
};
const signal = new AbortController().signal;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-digits-test-"));
});
afterEach(async () => rm(directory, { recursive: true }));

async function train(options: Parameters<typeof openTraining>[0]) {
  const training = await openTraining(options);
  const troubles: string[] = [];
  const fleets = await startFleetPool({
    job: options.job,
    url: training.url,
    processes: 0,
    onTrouble: (message) => troubles.push(message),
  });
  const task = await training.ended(signal);
  await fleets.close();
  expect(troubles).toEqual([]);
  return { training, task };
}

test("[EX15] virtual clients train on MNIST, and a separate client serves the model over HTTP", async () => {
  const { training, task } = await train({ job, storage: { kind: "memory" } });
  expect(task.endReason).toBe("maxRoundsReached");
  expect(training.before.accuracy).toBeLessThan(0.3);
  expect(task.evaluation?.accuracy).toBeGreaterThan(0.6);
  expect(task.evaluation?.numExamples).toBe(10_000);

  const served = await serveDigits(tf, training.url, job);
  expect(served.modelVersion()).toBe(3);
  const { test: held } = training;
  let correct = 0;
  for (let i = 0; i < 20; i++) {
    const answer = await served.classify(held.pixels.subarray(i * 784, (i + 1) * 784));
    expect(answer.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 4);
    if (mostProbable(answer) === held.labels[i]) correct++;
  }
  expect(correct).toBeGreaterThan(10);
  await served.close();
  await training.close();
});

test("[LE4] the budget ends the training, and the table's epsilon is the API's, round by round", async () => {
  const paid: DigitsJob = {
    ...job,
    maxRounds: 30,
    cohort: 10,
    batchSize: 200,
    // Three rounds cost 0.982, a fourth would bring it to 1.094.
    privacy: { noiseMultiplier: 1, clippingNorm: 0.5, maxEpsilon: 1, delta: 1e-3 },
  };
  await using training = await openTraining({ job: paid, storage: { kind: "memory" } });
  const ask = async <T>(path: string) => (await (await fetch(training.url + path)).json()) as T;
  const taskId = parseTaskId("digits");
  const privacyOfApi = () => ask<PrivacyResource>(routes.privacy.path({ taskId }));
  expect(await privacyOfApi()).toMatchObject({ epsilon: 0, maxEpsilon: 1, roundsLeft: 3 });

  const troubles: string[] = [];
  let text = "";
  const table = createRoundTable({ privacy: true, live: false, write: (part) => (text += part) });
  let shown = Promise.resolve();
  training.watch((event) => {
    shown = shown.then(async () => {
      const privacy = await training.privacy();
      table.observe(event, budgetOf(privacy));
    });
  });
  const fleets = await startFleetPool({
    job: paid,
    url: training.url,
    processes: 0,
    onTrouble: (message) => troubles.push(message),
  });
  const task = await training.ended(signal);
  await shown;
  await fleets.close();
  expect(troubles).toEqual([]);

  expect(task.endReason).toBe("privacyBudgetExhausted");
  const rows = text.split("\n").filter((line) => line.includes(" %"));
  const epsilons = rows.map((line) => line.trim().split(/ {2,}/)[4]);
  const { items } = await ask<{ items: RoundResource[] }>(routes.rounds.path({ taskId }));
  const ofApi = items
    .filter(({ phase }) => phase === "committed")
    .sort((one, other) => one.roundNumber - other.roundNumber)
    .map(({ epsilon }) => epsilonText(epsilon ?? Number.NaN));
  expect(epsilons).toEqual(ofApi);
  expect(epsilons).toHaveLength(3);
  expect(epsilons).toEqual([...epsilons].sort((one, other) => Number(one) - Number(other)));
  const last = await privacyOfApi();
  if (last.mechanism !== "central") expect.fail("the task is private");
  expect(last).toMatchObject({ rounds: 3, roundsLeft: 0 });
  expect(last.epsilon).toBeLessThanOrEqual(1);
  expect(epsilons.at(-1)).toBe(epsilonText(last.epsilon));
  expect(rows.map((line) => line.trim().split(/ {2,}/)[6])).toEqual(["2", "1", "0"]);
});

test("[EX16] a kept folder goes on with the same task, and refuses another one", async () => {
  const storage = { kind: "sqlite", directory } as const;
  const first = await train({ job: { ...job, maxRounds: 1 }, storage });
  const digest = first.task.checkpoint.digest;
  await first.training.close();

  const other = openTraining({ job: { ...job, learningRate: 0.2, maxRounds: 1 }, storage });
  await expect(other).rejects.toBeInstanceOf(OtherTaskError);

  await using again = await openTraining({ job: { ...job, maxRounds: 1 }, storage });
  expect(again.roundsBefore).toBe(1);
  expect(again.before).toEqual(
    first.task.evaluation && expect.objectContaining({ source: "central" }),
  );
  const task = await again.ended(signal);
  expect(task.checkpoint.digest).toBe(digest);
});

test("[EX16] the same seed trains the same model, bit by bit", async () => {
  const run = async () => {
    const { training, task } = await train({
      job: { ...job, maxRounds: 2 },
      storage: { kind: "memory" },
    });
    await training.close();
    return task.evaluation;
  };
  expect(await run()).toEqual(await run());
});
