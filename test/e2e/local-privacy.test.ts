/** Local noise from end to end: clients add it, account for it, and stop by themselves. */

import type { Client, PrivacyLedgerStore } from "@tributary/client-sdk";
import { createClient, createMemoryLedger } from "@tributary/client-sdk";
import { createFileLedger } from "@tributary/client-sdk/node";
import { calibrateLocalNoise } from "@tributary/coordinator/privacy";
import type { ModelManifest, TaskId, TrainingPlan } from "@tributary/protocol";
import {
  decodeCheckpoint,
  decodeUpdate,
  encodeUpdate,
  epsilonOfGaussian,
  noiseGridOf,
  routes,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startFakeCoordinator, TASK as FAKE } from "../support/fake-coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { connectRaw } from "../support/raw-client.ts";
import { countingTrainer, sumPredictor } from "../support/trainers.ts";

const TASK = "small" as TaskId;
const backoff = { baseMs: 5, maxMs: 50 };
const DELTA = 1e-5;
const CLIP = 2;

/** Noise with which a client has three updates within epsilon 4. */
const { noiseMultiplier: Z } = calibrateLocalNoise({ targetEpsilon: 4, delta: DELTA, rounds: 3 });
const settings = { clippingNorm: CLIP, noiseMultiplier: Z };

const localTask = (overrides: Parameters<typeof smallTask>[0] = {}) =>
  smallTask({
    privacy: { mechanism: "local", noiseMultiplier: Z, delta: DELTA, maxEpsilon: 4 },
    clippingNorm: CLIP,
    ...overrides,
  });

const join = (client: Client, taskId: string = TASK, trainer = countingTrainer()) =>
  client.join(taskId, { trainer }).done;

test("[LD11] clients train until their own budget is spent, then end by themselves and go on serving", async () => {
  await using running = await startCoordinator();
  const { coordinator, url } = running;
  await coordinator.tasks.create(localTask());
  await using folder = await temporaryFolder();
  const clients = [0, 1].map((i) =>
    createClient({
      url,
      backoff,
      privacy: { ledger: createFileLedger({ directory: `${folder.path}/${i}` }) },
    }),
  );
  const model = clients[0]!.model(TASK, { predictor: sumPredictor });
  const trainers = clients.map(() => countingTrainer());
  const ends = await Promise.all(clients.map((client, i) => join(client, TASK, trainers[i])));
  for (const end of ends) {
    expect(end).toMatchObject({
      reason: "privacyBudgetSpent",
      error: { code: "PRIVACY_BUDGET_EXHAUSTED", details: { refused: "taskBudget" } },
    });
  }
  // The fourth time nobody even began to train.
  expect(trainers.map(({ begun }) => begun)).toEqual([3, 3]);
  await model.ready;
  await model.refresh();
  expect(model.version).toBe(3);
  expect(await model.predict(null)).toBeTypeOf("number");

  const privacy = await clients[0]!.privacy(TASK);
  expect(privacy).toMatchObject({
    taskId: TASK,
    updates: 3,
    task: { delta: DELTA, maxEpsilon: 4 },
  });
  expect(privacy.task!.epsilon).toBeCloseTo(epsilonOfGaussian(Math.sqrt(3) / Z, DELTA), 12);
  expect(privacy.task!.epsilon).toBeLessThanOrEqual(4);
  expect(privacy.statement).toContain("the coordinator included");

  // A start anew on the same ledger begins with what is left: nothing.
  await using again = createClient({
    url,
    backoff,
    privacy: { ledger: createFileLedger({ directory: `${folder.path}/0` }) },
  });
  const fresh = countingTrainer();
  const more = [again, createClient({ url, backoff, privacy: { ledger: createMemoryLedger() } })];
  const joined = more.map((client) => client.join(TASK, { trainer: fresh }));
  expect((await joined[0]!.done).reason).toBe("privacyBudgetSpent");
  await Promise.all([...clients, ...more].map((client) => client.close()));
});

test("[LD13] a local task charges nothing, shows nothing of its clients, and states what holds against whom", async () => {
  await using running = await startCoordinator();
  const { coordinator, url } = running;
  const { layout } = await coordinator.tasks.create(localTask({ stop: { maxRounds: 2 } }));
  const trainer = () => ({
    train: async ({ weights }: { weights: Float32Array }) => ({
      weights: weights.map((weight) => weight + 1),
      numExamples: 4711,
      metrics: { trainLoss: 0.4711 },
    }),
  });
  const clients = [0, 1].map(() =>
    createClient({ url, backoff, privacy: { ledger: createMemoryLedger() } }),
  );
  const ends = clients.map((client) => client.join(TASK, { trainer: trainer() }).done);
  for (const end of await Promise.all(ends)) {
    expect(end).toEqual({ reason: "taskEnded", endReason: "maxRoundsReached" });
  }
  const { items: rounds } = await coordinator.tasks.rounds(TASK, { limit: 10 });
  expect(rounds).toHaveLength(2);
  for (const round of rounds) {
    expect(round).toMatchObject({ phase: "committed", participants: { reported: 2 } });
    expect(round).not.toHaveProperty("trainLoss");
    expect(round).not.toHaveProperty("epsilon");
  }
  const response = await fetch(url + routes.privacy.path({ taskId: TASK }));
  const shown = (await response.json()) as Record<string, unknown>;
  expect(shown).toMatchObject({
    mechanism: "local",
    unit: "client",
    adjacency: "replace-one",
    accountant: "exact-gaussian",
    noiseMultiplier: Z,
    clippingNorm: CLIP,
    delta: DELTA,
    maxEpsilon: 4,
    epsilonPerUpdate: epsilonOfGaussian(1 / Z, DELTA),
    updatesPerClient: 3,
  });
  expect(shown.statement).toContain("against everybody, the coordinator included");
  expect(shown.statement).toContain("and whether it gave a round up");
  const newest = await coordinator.models.get(TASK, "latest");
  const manifest = JSON.parse(newest.signed.manifest) as ModelManifest;
  expect({ taskId: TASK, ...manifest.privacy }).toEqual(shown);

  // Without the noise every weight would have moved by 2 CLIP / sqrt(7) exactly.
  const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(newest.digest));
  for (const weight of weights) {
    expect(Math.abs(weight - (2 * CLIP) / Math.sqrt(7))).toBeGreaterThan(1e-5);
  }
  await Promise.all(clients.map((client) => client.close()));
});

test("[LD13] what no client that adds its noise can have sent is refused with a code and counts nothing", async () => {
  await using running = await startCoordinator();
  const task = localTask({ stop: { maxRounds: 1 } });
  const { layout } = await running.coordinator.tasks.create(task);
  await using liar = await connectRaw(running.url);
  await using honest = await connectRaw(running.url);
  await Promise.all([liar.checkIn(TASK), honest.checkIn(TASK)]);
  const place = await liar.nextAssignment();
  const { step, noiseStddev, normBound } = noiseGridOf(settings);
  const whole = (value: number) => new Float32Array(layout.parameterCount).fill(value * step);
  const codeOf = async (delta: Float32Array, numExamples = 1, metrics = {}) => {
    const frame = encodeUpdate(layout, { delta, numExamples, metrics });
    const { status, body } = await liar.put(place, frame);
    return status === 200 ? "taken" : body.code;
  };
  const far = Math.floor(normBound + 9 * noiseStddev);
  const one = whole(0);
  one[0] = 2 * far * step;
  expect(await codeOf(whole(5), 2)).toBe("MALFORMED_MESSAGE");
  expect(await codeOf(whole(5), 1, { trainLoss: 0.5 })).toBe("MALFORMED_MESSAGE");
  expect(await codeOf(whole(0.5))).toBe("MALFORMED_MESSAGE");
  expect(await codeOf(whole(far))).toBe("MALFORMED_MESSAGE");
  expect(await codeOf(one)).toBe("MALFORMED_MESSAGE");
  expect(await codeOf(whole(Number.NaN))).toBe("UPDATE_NOT_FINITE");
  expect(await codeOf(whole(5))).toBe("taken");
  const report = { delta: whole(3), numExamples: 1, metrics: {} };
  await honest.report(await honest.nextAssignment(), layout, report);
  await running.roundEnded(1);
  const { digest } = await running.coordinator.models.get(TASK, "latest");
  const frame = await running.coordinator.models.checkpoint(digest);
  expect(decodeCheckpoint(layout, frame).weights).toEqual(whole(4));
});

test("[LD13] the denominator is public: one of three expected reports missing leaves the others' share as it was", async () => {
  await using running = await startCoordinator();
  const task = localTask({
    stop: { maxRounds: 1 },
    schedule: { minClients: 3, minReports: 2, reportWindowMs: 500 },
  });
  const { layout } = await running.coordinator.tasks.create(task);
  await using a = await connectRaw(running.url);
  await using b = await connectRaw(running.url);
  await using absent = await connectRaw(running.url);
  await Promise.all([a, b, absent].map((client) => client.checkIn(TASK)));
  const { step } = noiseGridOf(settings);
  for (const client of [a, b]) {
    const delta = new Float32Array(layout.parameterCount).fill(3 * step);
    await client.report(await client.nextAssignment(), layout, {
      delta,
      numExamples: 1,
      metrics: {},
    });
  }
  await running.roundEnded(1);
  const { digest } = await running.coordinator.models.get(TASK, "latest");
  const frame = await running.coordinator.models.checkpoint(digest);
  const expected = new Float32Array(layout.parameterCount).fill(2 * step);
  expect(decodeCheckpoint(layout, frame).weights).toEqual(expected);
});

// ----------------------------------------------------- a coordinator that is not to be trusted

const lie = (localNoise: TrainingPlan["localNoise"]) => ({
  ...(localNoise === undefined ? {} : { localNoise }),
  clippingNorm: CLIP,
});

test("[LD6] a coordinator that asks for less noise from round to round gets no more than the client's own budget", async () => {
  await using fake = await startFakeCoordinator();
  const own = { maxEpsilon: 2, delta: 1e-6 };
  await using client = createClient({
    url: fake.url,
    backoff,
    privacy: { ...own, ledger: createMemoryLedger() },
  });
  const done = join(client, FAKE);
  const asked = [40, 20, 10, 5, 2, 1, 0.1, 0.01];
  // Each round closes the one before; the coordinator grants itself any budget.
  const rounds = async () => {
    for (const [i, noiseMultiplier] of asked.entries()) {
      await fake.until("checkin", i + 1);
      const { plan, ...rest } = fake.assignment(i + 1);
      const localNoise = { noiseMultiplier, delta: 0.5, maxEpsilon: 1e9 };
      fake.emit("round:assigned", { ...rest, plan: { ...plan, ...lie(localNoise) } });
      await fake.until("PUT", i + 1);
      const closed = { outcome: "abandoned", reason: "cancelled" };
      fake.emit("round:closed", { taskId: FAKE, roundId: rest.roundId, ...closed });
    }
  };
  void rounds().catch(() => undefined);
  expect(await done).toMatchObject({
    reason: "privacyBudgetSpent",
    error: { details: { refused: "ownBudget" } },
  });
  await fake.until("decline");
  const sent = asked.slice(0, fake.puts.length);
  expect(sent.length).toBeGreaterThan(1);
  const mu = Math.sqrt(sent.reduce((sum, z) => sum + z ** -2, 0));
  expect(epsilonOfGaussian(mu, own.delta)).toBeLessThanOrEqual(own.maxEpsilon);
  const { own: spent } = await client.privacy(FAKE);
  expect(spent!.epsilon).toBeCloseTo(epsilonOfGaussian(mu, own.delta), 12);
  for (const put of fake.puts) {
    expect(decodeUpdate(fake.layout, put.body)).toMatchObject({ numExamples: 1, metrics: {} });
  }
});

test("[LD12] plans that a client does not follow end its part with the reason, and nothing is sent", async () => {
  const memory = createMemoryLedger;
  const noise = { noiseMultiplier: Z, delta: DELTA, maxEpsilon: 4 };
  const lost: PrivacyLedgerStore = { ...memory(), read: () => Promise.reject(new Error("gone")) };
  for (const [plan, privacy, code] of [
    // Without noise, which its own limit does not allow.
    [lie(undefined), { maxEpsilon: 1, ledger: memory() }, "CONFIG_INVALID"],
    // Noise of nobody knows how much.
    [{ localNoise: noise }, { ledger: memory() }, "CONFIG_INVALID"],
    // Nowhere to keep account.
    [lie(noise), {}, "CONFIG_INVALID"],
  ] as const) {
    await using fake = await startFakeCoordinator();
    const honest = fake.assignment(1);
    fake.place = { ...honest, plan: { ...honest.plan, ...plan } };
    const trainer = countingTrainer();
    await using client = createClient({ url: fake.url, backoff, privacy });
    expect(await join(client, FAKE, trainer)).toMatchObject({ reason: "failed", error: { code } });
    expect(trainer.begun).toBe(0);
    expect(fake.puts).toEqual([]);
  }
  // Noise that is left out after updates with noise: what was stated of them would not be true any more.
  {
    await using fake = await startFakeCoordinator();
    const { plan, ...first } = fake.assignment(1);
    fake.place = { ...first, plan: { ...plan, ...lie(noise) } };
    const trainer = countingTrainer();
    await using client = createClient({ url: fake.url, backoff, privacy: { ledger: memory() } });
    const done = join(client, FAKE, trainer);
    await fake.until("PUT", 1);
    fake.place = undefined;
    const closed = { outcome: "abandoned", reason: "cancelled" };
    fake.emit("round:closed", { taskId: FAKE, roundId: first.roundId, ...closed });
    const { plan: next, ...second } = fake.assignment(2);
    fake.emit("round:assigned", { ...second, plan: { ...next, ...lie(undefined) } });
    expect(await done).toMatchObject({ reason: "failed", error: { code: "CONFIG_INVALID" } });
    expect(trainer.begun).toBe(1);
    expect(fake.puts).toHaveLength(1);
  }
  // An account that cannot be read now may be readable later: the client waits.
  await using fake = await startFakeCoordinator();
  const honest = fake.assignment(1);
  fake.place = { ...honest, plan: { ...honest.plan, ...lie(noise) } };
  await using client = createClient({ url: fake.url, backoff, privacy: { ledger: lost } });
  const participant = client.join(FAKE, { trainer: countingTrainer() });
  const error = new Promise<string>((resolve) => participant.on("error", (e) => resolve(e.code)));
  expect(await error).toBe("UNAVAILABLE");
  expect(fake.puts).toEqual([]);
});

test("[LD7] a client takes no part sooner or more often than the plan allows, whatever it is offered", async () => {
  await using fake = await startFakeCoordinator();
  await using folder = await temporaryFolder();
  const participation = { minSeparation: 3, maxParticipations: 2 };
  const start = () =>
    createClient({
      url: fake.url,
      backoff,
      trust: { publicKeys: [fake.key.publicKey] },
      privacy: { ledger: createFileLedger({ directory: folder.path }) },
    });
  const trainedFor: number[] = [];
  let rounds = 0;
  /** Offers the client a round on each version, and waits for its answer. */
  const offer = async (client: Client, ...offers: [number, "PUT" | "decline"][]) => {
    const { done } = client.join(FAKE, {
      trainer: {
        train: async ({ weights }) => {
          trainedFor.push(weights[0]!);
          return { weights, numExamples: 7, metrics: { trainLoss: 1 } };
        },
      },
    });
    for (const [version, answer] of offers) {
      await fake.store(version, new Float32Array(fake.layout.parameterCount).fill(version));
      const answered = fake.until(answer, fake.count(answer) + 1);
      rounds += 1;
      const { plan, ...rest } = fake.assignment(rounds);
      fake.place = { ...rest, plan: { ...plan, participation } };
      fake.emit("round:assigned", fake.place);
      await answered;
      fake.place = undefined;
      const closed = { outcome: "abandoned", reason: "cancelled" };
      fake.emit("round:closed", { taskId: FAKE, roundId: rest.roundId, ...closed });
    }
    return done;
  };
  const first = start();
  // Version 0 twice: the round was abandoned, so this is the same step.
  const offered = offer(first, [0, "PUT"], [0, "PUT"], [1, "decline"], [2, "decline"]);
  await fake.until("decline", 2);
  expect(trainedFor).toEqual([0, 0]);
  await first.close();
  expect(await offered).toEqual({ reason: "closed" });
  // A start anew remembers; 3 is far enough from 0, and the second part is the last.
  await using second = start();
  expect(await offer(second, [1, "decline"], [3, "PUT"], [9, "decline"])).toMatchObject({
    reason: "privacyBudgetSpent",
    error: { details: { refused: "participations" } },
  });
  expect(trainedFor).toEqual([0, 0, 3]);
  expect((await second.privacy(FAKE)).participations).toEqual({ ...participation, count: 2 });
  // Without local noise an update is what it always was.
  expect(decodeUpdate(fake.layout, fake.puts[0]!.body)).toMatchObject({
    numExamples: 7,
    metrics: { trainLoss: 1 },
  });
});

test("[LD7] bytes that are sent again cost nothing anew, also to a coordinator that restarts in mid-round", async () => {
  await using folder = await temporaryFolder();
  const storage = { kind: "sqlite", directory: folder.path } as const;
  const first = await startCoordinator({ config: { storage } });
  const schedule = { reportWindowMs: 30_000 };
  await first.coordinator.tasks.create(localTask({ stop: { maxRounds: 1 }, schedule }));
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => (open = resolve));
  const trainers = [countingTrainer(), countingTrainer({ gate: () => gate })];
  const clients = trainers.map(() =>
    createClient({ url: first.url, backoff, privacy: { ledger: createMemoryLedger() } }),
  );
  const joined = trainers.map((trainer, i) => clients[i]!.join(TASK, { trainer }));
  await new Promise<void>((resolve) => joined[0]!.on("reported", () => resolve()));
  await first.coordinator.close();
  const port = Number(new URL(first.url).port);
  await using second = await startCoordinator({ config: { storage, server: { port } } });
  const sentAgain = new Promise<void>((resolve) => joined[0]!.on("reported", () => resolve()));
  open();
  await sentAgain;
  for (const { done } of joined) expect((await done).reason).toBe("taskEnded");
  for (const client of clients) expect((await client.privacy(TASK)).updates).toBe(1);
  expect(await second.coordinator.tasks.get(TASK)).toMatchObject({ roundsCommitted: 1 });
  await Promise.all(clients.map((client) => client.close()));
});

test("[LD4] an update carries the noisy delta and nothing else of the client's data", async () => {
  await using fake = await startFakeCoordinator();
  const honest = fake.assignment(1);
  const localNoise = { noiseMultiplier: Z, delta: DELTA, maxEpsilon: 4 };
  fake.place = { ...honest, plan: { ...honest.plan, evaluate: true, ...lie(localNoise) } };
  await using client = createClient({
    url: fake.url,
    backoff,
    privacy: { ledger: createMemoryLedger() },
  });
  const counts = { truePositives: [4711], falsePositives: [0], falseNegatives: [0] };
  client.join(FAKE, {
    trainer: {
      train: async ({ weights }) => ({
        weights: weights.map(() => 1e30),
        numExamples: 4711,
        metrics: { trainLoss: 4711, evaluation: { numExamples: 4711, lossSum: 1, ...counts } },
      }),
    },
  });
  await fake.until("PUT");
  const { body } = fake.puts[0]!;
  const { delta, numExamples, metrics } = decodeUpdate(fake.layout, body);
  expect({ numExamples, metrics }).toEqual({ numExamples: 1, metrics: {} });
  const { step, normBound, noiseStddev } = noiseGridOf(settings);
  for (const value of delta) {
    expect(Number.isInteger(value / step)).toBe(true);
    expect(Math.abs(value / step)).toBeLessThan(normBound + 10 * noiseStddev);
  }
  expect(new TextDecoder("latin1").decode(body)).not.toContain("4711");
});
