import type { Assignment, ClientId, RoundId, TaskId, TaskSpecInput } from "@tributary/protocol";
import {
  checksumOf,
  createLayout,
  encodeCheckpoint,
  FederatedError,
  sha256,
} from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { createAssignmentTokens } from "../clients/assignment-token.ts";
import { createHmacSha256 } from "../identity/hmac.ts";
import { createBlobKeeper } from "../model/blob-keeper.ts";
import { manifestOf } from "../model/manifest.ts";
import { createModelRegistry } from "../model/registry.ts";
import { openSigner } from "../model/signer.ts";
import type { DomainEvent, Evaluator, Store } from "../ports.ts";
import { createIntegerNoise } from "../privacy/integer-noise.ts";
import { createSecureRandom, uniformFrom } from "../privacy/random.ts";
import { reckonHere } from "../privacy/reckoner.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { startRoundEngine } from "./engine.ts";
import { fakeClock } from "./fake-clock.fixture.ts";
import { denseDelta } from "../aggregation/encoded-delta.ts";

/** Signing goes through the thread pool, and so does this. */
async function settle() {
  for (let i = 0; i < 50; i++) await sha256(new Uint8Array(1));
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

const clients = ["a", "b", "c"].map((name) => name.repeat(8) as ClientId);
const noLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Options {
  readonly spec?: Partial<TaskSpecInput>;
  readonly evaluator?: Evaluator;
  readonly roundsPerClientPerDay?: number;
  /** Everybody's coin, in the place of secret ones. */
  readonly coin?: number;
}

/** An engine over a memory store whose calls can be made to fail. */
async function startWorld({ spec: overrides, evaluator, coin, ...quota }: Options = {}) {
  const time = fakeClock(settle);
  const memory = createMemoryStore();
  const failing = new Set<keyof Store>();
  const store = new Proxy(memory, {
    get: (target, name: keyof Store) =>
      failing.has(name)
        ? () => Promise.reject(new FederatedError("UNAVAILABLE", "the disk is full"))
        : target[name],
  });
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => memory.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  const spec = resolveTaskSpec({
    taskId: "t",
    model: { tensors: [{ name: "w", shape: [2] }] },
    sampler: { kind: "all" },
    ...overrides,
    schedule: { minClients: 2, minReports: 2, reportWindowMs: 1_000, ...overrides?.schedule },
  });
  const layout = await createLayout(spec.model.tensors);
  const taskId = "t" as TaskId;
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights: new Float32Array(2) });
  const digest = await shelf.save(frame);
  const task = { taskId, spec, layout, state: "running" as const, createdAt: 0 };
  const random = createSecureRandom();
  const signer = await openSigner({ store: memory, clock: time.clock, random }, {});
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt: 0 };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    memory.createTask(task, { ...initial, signed }),
  );
  const gone = new Set<ClientId>();
  const assigned = new Map<ClientId, Assignment>();
  const events: DomainEvent[] = [];
  const deps = {
    ...{ store, blobs, shelf, clock: time.clock, logger: noLog },
    ...{ signer, noise: createIntegerNoise(random), reckon: reckonHere },
    tokens: createAssignmentTokens(createHmacSha256(new Uint8Array(32))),
    events: { emit: (event: DomainEvent) => void events.push(event) },
    gateway: {
      assign: (clientId: ClientId, assignment: Assignment) =>
        void assigned.set(clientId, assignment),
      closeRound: () => {},
      publishModel: () => {},
      taskPaused: () => {},
      dismiss: () => {},
      taskEnded: () => {},
    },
    isConnected: (clientId: ClientId) => !gone.has(clientId),
    uniformFor: () =>
      coin === undefined ? uniformFrom(createSecureRandom()) : { next: () => coin },
    ...(evaluator === undefined ? {} : { evaluator }),
  };
  const options = { disconnectGraceMs: 100, abandonedRetryMs: 50, ...quota };
  const start = () => startRoundEngine(deps, task, options);
  const engine = await start();
  const report = async (clientId: ClientId, value: number, roundNumber = 1, to = engine) => {
    const delta = new Float32Array(2).fill(value);
    const checksum = checksumOf(new Uint8Array(delta.buffer));
    return to.report(
      { roundId: `t.${roundNumber}` as RoundId, taskId, clientId },
      { checksum, delta: denseDelta(delta), numExamples: 1, metrics: {}, bytes: 72 },
    );
  };
  return { engine, start, time, memory, failing, gone, assigned, events, report, taskId };
}

describe("a store that fails", () => {
  test("[EN1] in a commit: nothing is published, and the round opens again and commits", async () => {
    const world = await startWorld();
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    world.failing.add("commitRound");
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 3);
    await world.time.settle();
    expect(world.events.some(({ type }) => type === "model:published")).toBe(false);
    await expect(world.engine.checkIn(clients[2]!)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      retryable: true,
    });
    world.failing.clear();
    world.assigned.clear();
    await world.time.advance(60);
    expect([...world.assigned.values()]).toMatchObject([
      { roundNumber: 1, reported: false },
      { roundNumber: 1, reported: false },
    ]);
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 3);
    await world.time.settle();
    expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 1 });
    expect(await world.memory.countRounds(world.taskId)).toEqual({
      committed: 1,
      abandoned: 0,
      last: 1,
    });
    await world.engine.stop(0);
  });

  test("[EN1] for a while: the engine tries again until it can load", async () => {
    const world = await startWorld();
    world.failing.add("saveOpenRound").add("getTask");
    await expect(world.engine.checkIn(clients[0]!)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await world.time.advance(500);
    await expect(world.engine.checkIn(clients[0]!)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    world.failing.clear();
    await world.time.advance(60);
    await expect(world.engine.checkIn(clients[1]!)).resolves.toMatchObject({
      clientId: clients[1],
    });
    await world.engine.stop(0);
  });

  test("[EN9] whose wait ends while the engine loads again waits no more afterwards, and the others do", async () => {
    const world = await startWorld();
    const [first, second] = clients;
    const waiting = () => world.engine.snapshot().clientsWaiting;
    await world.engine.checkIn(first!);
    // The second completes the cohort, which cannot be saved: both wait on.
    world.failing.add("saveOpenRound").add("getTask");
    await expect(world.engine.checkIn(second!)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(waiting()).toBe(2);
    await expect(world.engine.endWait(first!)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(waiting()).toBe(1);
    world.failing.clear();
    await world.time.advance(60);
    expect(waiting()).toBe(1);
    expect(world.assigned.size).toBe(0);
    await world.engine.stop(0);
  });

  test("[EN2] between reservation and commit: the charge stays until it is released, once", async () => {
    const world = await startWorld({
      spec: {
        clippingNorm: 1,
        weighting: { kind: "uniform" },
        privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 10 },
      },
    });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    world.failing.add("commitRound");
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 1);
    await world.time.settle();
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "reserved" }]);
    world.failing.clear();
    await world.time.advance(60);
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 1);
    await world.time.settle();
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "released" }]);
    await world.engine.stop(0);
  });
});

describe("what a round is charged by", () => {
  const spec = {
    clippingNorm: 1,
    weighting: { kind: "uniform" },
    sampler: { kind: "poisson", samplingRate: 1, population: 2 },
    privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 10 },
  } as const;

  test("[DP17] is what its selection claimed, also where it opens again", async () => {
    const world = await startWorld({ spec });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    const claim = { kind: "poisson", samplingRate: 1 };
    expect((await world.memory.getOpenRound(world.taskId))?.round).toMatchObject({ claim });
    // The API does not show how the store keeps it.
    expect(world.engine.snapshot().currentRound).not.toHaveProperty("claim");
    await world.engine.stop(0);
    const restarted = await world.start();
    await world.report(clients[0]!, 1, 1, restarted);
    await world.report(clients[1]!, 1, 1, restarted);
    await world.time.settle();
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([
      { status: "released", charge: { mechanism: "gaussian", noiseMultiplier: 2, claim } },
    ]);
    await restarted.stop(0);
  });

  test("[DP17] is nothing claimed, where a round of an older store has no claim", async () => {
    const world = await startWorld({ spec });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.engine.stop(0);
    const { claim, ...round } = (await world.memory.getOpenRound(world.taskId))!.round;
    expect(claim).toBeDefined();
    await world.memory.saveOpenRound(round);
    const restarted = await world.start();
    await world.report(clients[0]!, 1, 1, restarted);
    await world.report(clients[1]!, 1, 1, restarted);
    await world.time.settle();
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([
      { charge: { claim: { kind: "none" } } },
    ]);
    await restarted.stop(0);
  });

  test("[DP16] is known to the accountant, or nothing is released", async () => {
    const world = await startWorld({ spec });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.engine.stop(0);
    const { round } = (await world.memory.getOpenRound(world.taskId))!;
    const claim = { kind: "shuffled", samplingRate: 1e-9 } as never;
    await world.memory.saveOpenRound({ ...round, claim });
    const restarted = await world.start();
    await world.report(clients[0]!, 1, 1, restarted);
    await world.report(clients[1]!, 1, 1, restarted);
    await world.time.advance(2_000);
    expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 0 });
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({ phase: "abandoned" });
    // Nor is anything in the ledger that nobody could account later: the next round goes well.
    expect(await world.memory.listLedger(world.taskId)).toEqual([]);
    await Promise.all([restarted.checkIn(clients[0]!), restarted.checkIn(clients[1]!)]);
    await world.time.advance(500);
    await world.report(clients[0]!, 1, 2, restarted);
    await world.report(clients[1]!, 1, 2, restarted);
    await world.time.settle();
    expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 1 });
    await restarted.stop(0);
  });

  test("[DP22] is within the budget as it was drawn, or nothing is released, though the plan was affordable", async () => {
    const world = await startWorld({
      spec: {
        ...spec,
        sampler: { kind: "poisson", samplingRate: 0.01, population: 2 },
        // A round by coins costs 0.04, one that claims nothing 2.2.
        privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 1 },
      },
      coin: 0,
    });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.engine.stop(0);
    const { claim, ...round } = (await world.memory.getOpenRound(world.taskId))!.round;
    expect(claim).toEqual({ kind: "poisson", samplingRate: 0.01 });
    await world.memory.saveOpenRound(round);
    const restarted = await world.start();
    await world.report(clients[0]!, 1, 1, restarted);
    await world.report(clients[1]!, 1, 1, restarted);
    await world.time.settle();
    expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 0 });
    expect(await world.memory.listLedger(world.taskId)).toEqual([]);
    expect(restarted.snapshot().task.state).toBe("running");
    await restarted.stop(0);
  });

  test.each(["listLedger", "reserveLedger"] as const)(
    "[DP22] is in the ledger before anything is released: %s fails, and so does the round",
    async (call) => {
      const world = await startWorld({ spec });
      await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
      world.failing.add(call);
      await world.report(clients[0]!, 1);
      await world.report(clients[1]!, 1);
      await world.time.settle();
      world.failing.clear();
      await world.time.advance(60);
      expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({
        modelVersion: 0,
      });
      expect(world.events.some(({ type }) => type === "model:published")).toBe(false);
      expect(await world.memory.listLedger(world.taskId)).toEqual([]);
      await world.engine.stop(0);
    },
  );
});

describe("aggregation", () => {
  test("[EN3] an evaluator that hangs ends with its deadline: the round is abandoned, its charge kept", async () => {
    const world = await startWorld({
      spec: {
        clippingNorm: 1,
        weighting: { kind: "uniform" },
        privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 10 },
        schedule: { aggregationDeadlineMs: 200 },
      },
      evaluator: { evaluate: () => new Promise(() => {}) },
    });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 1);
    await world.time.advance(250);
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({
      phase: "abandoned",
      reason: "aggregationTimedOut",
    });
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "released" }]);
    await world.engine.stop(0);
  });

  test("[EN3] an evaluator that throws costs its figures, not the round", async () => {
    const world = await startWorld({
      evaluator: { evaluate: () => Promise.reject(new Error("no data")) },
    });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 1);
    await world.time.settle();
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({ phase: "committed" });
    await world.engine.stop(0);
  });

  test("[EN4] cancelling during aggregation releases nothing", async () => {
    let finish: () => void = () => {};
    const world = await startWorld({
      evaluator: {
        evaluate: () =>
          new Promise((resolve) => {
            finish = () => resolve({ source: "central", numExamples: 1, loss: 0 });
          }),
      },
    });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.report(clients[0]!, 1);
    await world.report(clients[1]!, 1);
    await world.time.settle();
    await world.engine.cancel();
    finish();
    await world.time.settle();
    expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 0 });
    expect(world.engine.snapshot().task).toMatchObject({ state: "ended", endReason: "cancelled" });
    await world.engine.stop(0);
  });
});

describe("time", () => {
  test("[EN5] abandoned rounds rest longer and longer, and a stopped engine leaves no timer", async () => {
    const world = await startWorld({ spec: { schedule: { selectionDeadlineMs: 100 } } });
    await world.engine.checkIn(clients[0]!);
    const openedAt: number[] = [];
    for (let round = 1; round <= 4; round++) {
      while (world.engine.snapshot().currentRound?.roundNumber !== round)
        await world.time.advance(5);
      openedAt.push(world.time.clock.monotonicMs());
    }
    const gaps = openedAt.slice(1).map((at, i) => at - openedAt[i]!);
    // 100 ms of selection, then 50, 100 and 200 ms of rest
    gaps.forEach((gap, i) => expect(Math.abs(gap - (100 + 50 * 2 ** i))).toBeLessThanOrEqual(10));
    await world.engine.stop(0);
    expect(world.time.pending()).toBe(0);
  });

  test("[EN6] a pause holds over a restart: an open selection ends with it", async () => {
    const world = await startWorld();
    await world.engine.checkIn(clients[0]!);
    expect(world.engine.snapshot().currentRound).toMatchObject({ phase: "selecting" });
    await world.engine.stop(0);
    await world.memory.setTaskState(world.taskId, "paused");
    const restarted = await world.start();
    await world.time.settle();
    expect(restarted.snapshot().currentRound).toBeUndefined();
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({ reason: "paused" });
    await restarted.stop(0);
  });
});

test("[EN7] a client that went while its check-in waited its turn does not wait for a round", async () => {
  const world = await startWorld();
  world.gone.add(clients[0]!);
  await expect(world.engine.checkIn(clients[0]!)).rejects.toMatchObject({ code: "ABORTED" });
  expect(world.engine.snapshot()).toMatchObject({ clientsWaiting: 0 });
  await world.engine.stop(0);
});

test("[EN8] a charge that turned void is there for the next round", async () => {
  const world = await startWorld({
    spec: {
      clippingNorm: 1,
      weighting: { kind: "uniform" },
      // Epsilon of one round is 2.2, of two 3.3.
      privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 2.6 },
    },
  });
  await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
  world.failing.add("commitRound");
  await Promise.all([world.report(clients[0]!, 1), world.report(clients[1]!, 1)]);
  await world.time.settle();
  world.failing.clear();
  await world.engine.stop(0);
  // Abandoned as former versions did where nobody reported.
  const { round } = (await world.memory.getOpenRound(world.taskId))!;
  const end = { phase: "abandoned", reason: "tooFewReports", endedAt: 0 } as const;
  await world.memory.abandonRound({ round: { ...round, ...end } });
  expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "void" }]);
  const restarted = await world.start();
  expect(restarted.snapshot().task.state).toBe("running");
  await Promise.all([restarted.checkIn(clients[0]!), restarted.checkIn(clients[1]!)]);
  await world.report(clients[0]!, 1, 2, restarted);
  await world.report(clients[1]!, 1, 2, restarted);
  await world.time.settle();
  expect(restarted.snapshot().task).toMatchObject({
    state: "ended",
    endReason: "privacyBudgetExhausted",
  });
  expect(await world.memory.latestModelVersion(world.taskId)).toMatchObject({ modelVersion: 1 });
  await restarted.stop(0);
});

describe("under central noise a cohort that was drawn", () => {
  const spec = {
    clippingNorm: 1,
    weighting: { kind: "uniform" },
    sampler: { kind: "poisson", samplingRate: 1, population: 2 },
    privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 10 },
  } as const;
  const nobody = { ...spec, sampler: { ...spec.sampler, samplingRate: 1e-12 } } as const;
  const claimOfNobody = { kind: "poisson", samplingRate: 1e-12 };

  test("[DP26] is released and charged with fewer reports than minReports, also without any", async () => {
    for (const reports of [1, 0]) {
      const world = await startWorld({ spec });
      await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
      if (reports === 1) await world.report(clients[0]!, 1);
      await world.time.advance(1_100);
      const round = await world.memory.getRound("t.1" as RoundId);
      expect(round).toMatchObject({ phase: "committed", participants: { reported: reports } });
      expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "released" }]);
      await world.engine.stop(0);
    }
  });

  test("[DP26] is released and charged where it is empty, and is not drawn again after a failure", async () => {
    const world = await startWorld({ spec: nobody });
    world.failing.add("commitRound");
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.time.settle();
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([{ status: "reserved" }]);
    world.failing.clear();
    await world.time.advance(60);
    // It waits for its cohort, as any round that opens again, though that is nobody.
    expect(world.engine.snapshot().currentRound).toMatchObject({
      roundNumber: 1,
      phase: "reporting",
    });
    await world.engine.stop(0);
    const restarted = await world.start();
    await world.time.advance(1_100);
    expect(world.assigned.size).toBe(0);
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({ phase: "committed" });
    expect(await world.memory.listLedger(world.taskId)).toMatchObject([
      { status: "released", charge: { claim: claimOfNobody } },
    ]);
    await restarted.stop(0);
  });

  test("[DP26] is none where more wait than a capped draw is accounted for", async () => {
    const sampler = { ...spec.sampler, population: 2, maxCohort: 2 };
    const world = await startWorld({ spec: { ...spec, sampler, schedule: { minReports: 1 } } });
    await world.engine.pause();
    for (const client of clients) await world.engine.checkIn(client);
    await world.engine.resume();
    await world.time.settle();
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({
      phase: "abandoned",
      reason: "tooFewClients",
    });
    expect(await world.memory.listLedger(world.taskId)).toEqual([]);
    await world.engine.stop(0);
  });
});

describe("a quota of rounds per client and day", () => {
  const overQuota = {
    ...{ code: "RATE_LIMITED", retryable: true },
    details: { limit: "roundsPerClientPerDay" },
  };
  /** Until the day of the test's clock ends. */
  const leftOfDayMs = 86_400_000 - (1_700_000_000_000 % 86_400_000);

  async function playRound(world: Awaited<ReturnType<typeof startWorld>>, roundNumber: number) {
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    await world.report(clients[0]!, 1, roundNumber);
    await world.report(clients[1]!, 1, roundNumber);
    await world.time.settle();
  }

  test("[LIM12] who had its places is told to come tomorrow and is not there for the sampler", async () => {
    const world = await startWorld({ roundsPerClientPerDay: 2 });
    await playRound(world, 1);
    await playRound(world, 2);
    await expect(world.engine.checkIn(clients[0]!)).rejects.toMatchObject({
      ...overQuota,
      retryAfterMs: leftOfDayMs,
    });
    expect(world.engine.snapshot().clientsWaiting).toBe(0);
    await world.engine.checkIn(clients[2]!);
    expect(world.engine.snapshot().clientsWaiting).toBe(1);
    await world.time.advance(leftOfDayMs);
    await world.engine.checkIn(clients[0]!);
    expect(world.engine.snapshot().currentRound).toMatchObject({
      phase: "reporting",
      participants: { selected: 2 },
    });
    await world.engine.stop(0);
  });

  test("[LIM12] a place in the open round is told again to whoever has it, quota or not", async () => {
    const world = await startWorld({ roundsPerClientPerDay: 1 });
    await Promise.all([world.engine.checkIn(clients[0]!), world.engine.checkIn(clients[1]!)]);
    const again = await world.engine.checkIn(clients[0]!);
    expect(again.assignment).toMatchObject({ roundNumber: 1, reported: false });
    await world.engine.decline(clients[0]!, 1);
    // The place was given, so it counts.
    await expect(world.engine.checkIn(clients[0]!)).rejects.toMatchObject(overQuota);
    await world.engine.stop(0);
  });

  test("[LIM12] a cohort that could not be saved took no places", async () => {
    const world = await startWorld({ roundsPerClientPerDay: 1 });
    await world.engine.checkIn(clients[0]!);
    world.failing.add("saveOpenRound");
    await expect(world.engine.checkIn(clients[1]!)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(await world.memory.dailyPlaces(world.taskId, clients[0]!)).toBeUndefined();
    world.failing.clear();
    // Both still wait, and the next try gives them their places, once.
    await world.time.advance(60);
    expect(world.assigned.size).toBe(2);
    expect(await world.memory.dailyPlaces(world.taskId, clients[0]!)).toMatchObject({ places: 1 });
    await world.engine.stop(0);
  });
});

describe("a private round", () => {
  test("[EG9] tells its progress by the clock: as many events whether one client reports or none", async () => {
    const spec: Partial<TaskSpecInput> = {
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 100 },
      sampler: { kind: "poisson", samplingRate: 1, population: 3 },
      clippingNorm: 1,
      schedule: { minClients: 3, minReports: 3, reportWindowMs: 10_000 },
    };
    const eventsWith = async (reports: readonly number[]) => {
      const world = await startWorld({ spec });
      for (const client of clients) await world.engine.checkIn(client);
      for (let second = 0; second < 6; second++) {
        if (reports.includes(second)) await world.report(clients[reports.indexOf(second)]!, 0.5);
        await world.time.advance(1_000);
      }
      await world.engine.stop(0);
      expect(world.time.pending()).toBe(0);
      return world.events.map(({ type }) => type);
    };
    const quiet = await eventsWith([]);
    expect(quiet.filter((type) => type === "round:progress")).toHaveLength(6);
    expect(await eventsWith([1])).toEqual(quiet);
    expect(await eventsWith([0, 4])).toEqual(quiet);
    const waitingFor = async (others: number) => {
      const world = await startWorld({ spec });
      await world.engine.checkIn(clients[0]!);
      for (let i = 1; i <= others; i++) {
        await world.time.advance(300);
        await world.engine.checkIn(clients[i]!);
      }
      await world.time.advance(1_000);
      await world.engine.stop(0);
      return world.events.map(({ type }) => type);
    };
    expect(await waitingFor(1)).toEqual(await waitingFor(0));
  });
});

test("[IG9] uploads that move no deadline set no timer, and the round still ends at its deadline", async () => {
  const world = await startWorld();
  for (const client of clients) await world.engine.checkIn(client);
  const participant = { roundId: "t.1" as RoundId, taskId: world.taskId, clientId: clients[0]! };
  const upload = async () => {
    await world.engine.uploadBegan(participant);
    await world.engine.refuse(participant, "UPDATE_NOT_FINITE");
    world.engine.uploadEnded(participant);
    await world.time.settle();
  };
  // The first is told of in an event a moment later.
  await upload();
  const before = world.time.made();
  for (let i = 0; i < 20; i++) await upload();
  expect(world.time.made()).toBe(before);
  await world.time.advance(999);
  expect(world.engine.snapshot().currentRound).toMatchObject({ phase: "reporting" });
  await world.time.advance(1);
  expect(world.engine.snapshot().currentRound).toBeUndefined();
  await world.engine.stop(0);
  expect(world.time.pending()).toBe(0);
});
