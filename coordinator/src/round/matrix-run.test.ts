import type { Assignment, ClientId, RoundId, TaskId, TaskSpecInput } from "@tributary/protocol";
import {
  checksumOf,
  createLayout,
  decodeCheckpoint,
  encodeCheckpoint,
  FederatedError,
  sha256,
} from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { createGridSum } from "../aggregation/grid-sum.ts";
import { createAssignmentTokens } from "../clients/assignment-token.ts";
import { createHmacSha256 } from "../identity/hmac.ts";
import { createBlobKeeper } from "../model/blob-keeper.ts";
import { manifestOf } from "../model/manifest.ts";
import { createModelRegistry } from "../model/registry.ts";
import { openSigner } from "../model/signer.ts";
import type { DomainEvent, NoiseStep, Store } from "../ports.ts";
import { createGrid } from "../privacy/grid.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { createIntegerNoise } from "../privacy/integer-noise.ts";
import { createSecureRandom, uniformFrom } from "../privacy/random.ts";
import { reckonHere } from "../privacy/reckoner.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { privacyResource } from "./budget.ts";
import { startRoundEngine } from "./engine.ts";
import { fakeClock } from "./fake-clock.fixture.ts";
import { releaseStep } from "./matrix-run.ts";
import { denseDelta } from "../aggregation/encoded-delta.ts";

/** Signing and digests go through the thread pool, and so does this. */
async function settle() {
  for (let i = 0; i < 80; i++) await sha256(new Uint8Array(1));
  for (let i = 0; i < 80; i++) await new Promise((resolve) => setImmediate(resolve));
}

const taskId = "t" as TaskId;
const clients = ["a", "b", "c", "d"].map((name) => name.repeat(8) as ClientId);
const [a, b, c, d] = clients as [ClientId, ClientId, ClientId, ClientId];
const noLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const run = {
  mechanism: "matrix",
  noiseMultiplier: 2,
  delta: 1e-5,
  maxEpsilon: 10,
  rounds: 4,
  minSeparation: 2,
  maxParticipations: 2,
} as const;

/** An engine of a matrix run over a memory store: pairs of clients, whose calls can be made to fail. */
async function startWorld(spec: Partial<TaskSpecInput> = {}) {
  const time = fakeClock(settle);
  const memory = createMemoryStore();
  const failing = new Set<keyof Store>();
  const taken: NoiseStep[] = [];
  let state: Uint8Array | "missing" | undefined;
  const store = new Proxy(memory, {
    get: (target, name: keyof Store) => {
      if (failing.has(name)) {
        return () => Promise.reject(new FederatedError("UNAVAILABLE", "the disk is full"));
      }
      if (name === "takeNoiseStep") {
        return async (step: NoiseStep) => {
          await target.takeNoiseStep(step);
          taken.push(step);
        };
      }
      if (name === "noiseState" && state !== undefined) {
        return async () => (state === "missing" ? undefined : state);
      }
      return target[name];
    },
  });
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => memory.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  const resolved = resolveTaskSpec({
    taskId,
    model: { tensors: [{ name: "w", shape: [2] }] },
    clippingNorm: 1,
    privacy: run,
    ...spec,
    schedule: { minClients: 2, minReports: 2, reportWindowMs: 1_000, ...spec.schedule },
  });
  const layout = await createLayout(resolved.model.tensors);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights: new Float32Array(2) });
  const digest = await shelf.save(frame);
  const task = { taskId, spec: resolved, layout, state: "running" as const, createdAt: 0 };
  const random = createSecureRandom();
  const signer = await openSigner({ store: memory, clock: time.clock, random }, {});
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt: 0 };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    memory.createTask(task, { ...initial, signed }),
  );
  const assigned = new Map<ClientId, Assignment>();
  const events: DomainEvent[] = [];
  const inner = createIntegerNoise(random);
  const drawn: Float64Array[] = [];
  const noise: IntegerNoise = {
    add: async (sum, stddev) => {
      await inner.add(sum, stddev);
      drawn.push(sum.slice());
    },
  };
  const deps = {
    ...{ store, blobs, shelf, clock: time.clock, logger: noLog, signer, noise, reckon: reckonHere },
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
    isConnected: () => true,
    uniformFor: () => uniformFrom(createSecureRandom()),
  };
  const options = { disconnectGraceMs: 100, abandonedRetryMs: 50 };
  let engine = await startRoundEngine(deps, task, options);
  const report = async (clientId: ClientId, roundNumber: number) => {
    const delta = Float32Array.of(0.25, -0.5);
    const checksum = checksumOf(new Uint8Array(delta.buffer));
    return engine.report(
      { roundId: `t.${roundNumber}` as RoundId, taskId, clientId },
      { checksum, delta: denseDelta(delta), numExamples: 1, metrics: {}, bytes: 72 },
    );
  };
  return {
    ...{ time, memory, failing, assigned, events, report, task, taken, drawn },
    checkIn: (clientId: ClientId) => engine.checkIn(clientId),
    refuse: (clientId: ClientId, roundNumber: number) =>
      engine.refuse(
        { roundId: `t.${roundNumber}` as RoundId, taskId, clientId },
        "UPDATE_NOT_FINITE",
      ),
    stop: () => engine.stop(0),
    corrupt: (bytes: Uint8Array | "missing") => {
      state = bytes;
    },
    /** As after a crash: whatever was in memory is gone. */
    restart: async () => {
      await engine.stop(0);
      engine = await startRoundEngine(deps, (await memory.getTask(taskId)) ?? task, options);
    },
    /** One round of these two, to its end. */
    round: async (pair: readonly ClientId[], roundNumber: number) => {
      for (const clientId of pair) await engine.checkIn(clientId);
      for (const clientId of pair) await report(clientId, roundNumber);
      await time.settle();
    },
    weights: async (modelVersion: number) => {
      const version = await memory.getModelVersion(taskId, modelVersion);
      return decodeCheckpoint(layout, await shelf.checkpoint(version!.digest)).weights;
    },
    ledger: () => memory.listLedger(taskId),
    participation: (clientId: ClientId) => memory.participation(taskId, clientId),
    version: async () => (await memory.latestModelVersion(taskId))?.modelVersion,
    ended: async () => (await memory.getTask(taskId))?.endReason,
  };
}

describe("a matrix run", () => {
  test("[MM10] goes on step by step to its end: charges, participants and promise are those of the steps", async () => {
    const world = await startWorld();
    const epsilon = () =>
      world
        .ledger()
        .then((ledger) => privacyResource(world.task.spec, ledger, { modelVersion: 0 }));
    expect(await epsilon()).toMatchObject({ epsilon: 0, rounds: 0, roundsLeft: 4 });
    await world.round([a, b], 1);
    expect(world.assigned.get(a)?.plan.participation).toEqual({
      minSeparation: 2,
      maxParticipations: 2,
    });
    const first = await epsilon();
    expect(first).toMatchObject({ mechanism: "matrix", rounds: 1, roundsLeft: 3 });
    await world.round([c, d], 2);
    await world.round([a, b], 3);
    await world.round([c, d], 4);
    expect(await world.ledger()).toMatchObject(
      [1, 2, 3, 4].map((n) => ({
        roundId: `t.${n}`,
        status: "released",
        charge: { mechanism: "matrix", noiseMultiplier: 2 },
      })),
    );
    expect(await world.participation(a)).toEqual({ lastStep: 2, count: 2 });
    expect(await world.participation(d)).toEqual({ lastStep: 3, count: 2 });
    // The run costs the same from its first step on.
    const last = await epsilon();
    expect(last).toMatchObject({ rounds: 4, roundsLeft: 0 });
    expect("epsilon" in last && "epsilon" in first && last.epsilon === first.epsilon).toBe(true);
    expect(await world.version()).toBe(4);
    expect(await world.ended()).toBe("maxRoundsReached");
    expect(world.taken.map(({ step }) => step)).toEqual([0, 1, 2, 3]);
    await world.stop();
  });

  test("[MM10] what is published is the sum and the noise of the run over the denominator, and nothing else", async () => {
    const privacy = { ...run, factorization: { kind: "tree" } } as const;
    const world = await startWorld({ privacy });
    await world.round([a, b], 1);
    await world.round([c, d], 2);
    const { step } = createGrid({ noiseMultiplier: 2, clippingNorm: 1, parameterCount: 2 });
    const [one, two] = world.drawn as [Float64Array, Float64Array];
    const sum = [0.5, -1];
    const first = await world.weights(1);
    const second = await world.weights(2);
    for (const [i, value] of sum.entries()) {
      const after = (value + step * one[i]!) / 2;
      expect(first[i]).toBe(Math.fround(after));
      // The node of both steps has taken the place of the first step's: its noise alone is left.
      const both = (2 * value + step * two[i]!) / 2;
      expect(Math.abs(second[i]! - both)).toBeLessThan(1e-5);
    }
    await world.stop();
  });

  test("[MM11] whoever was in a step is not in the next ones, and is told when to come back; it opens no round", async () => {
    const world = await startWorld();
    await world.round([a, b], 1);
    await world.time.advance(10_000);
    const refused = { code: "RATE_LIMITED", retryable: true, details: { roundsToWait: 1 } };
    await expect(world.checkIn(a)).rejects.toMatchObject(refused);
    // Nothing is known yet of how long a step takes.
    await expect(world.checkIn(a)).rejects.toMatchObject({ retryAfterMs: 1_000 });
    expect(await world.memory.getOpenRound(taskId)).toBeUndefined();
    await world.round([c, d], 2);
    // The latest step took 10 s, and one more is to come.
    await expect(world.checkIn(c)).rejects.toMatchObject({ retryAfterMs: 10_000 });
    await world.round([a, b], 3);
    // Twice is all that the run has for a client.
    await expect(world.checkIn(b)).rejects.toMatchObject({
      code: "PRIVACY_BUDGET_EXHAUSTED",
      retryable: false,
    });
    await world.stop();
  });

  test("[MM11] whoever waits since before its own step was taken is not drawn for the next one", async () => {
    const world = await startWorld();
    for (const clientId of [a, b]) await world.checkIn(clientId);
    // Refused at first, so it waits for the next round; what it sends after all counts in this one.
    await world.refuse(a, 1);
    await world.checkIn(a);
    await world.report(a, 1);
    await world.report(b, 1);
    await world.time.settle();
    expect(await world.participation(a)).toEqual({ lastStep: 0, count: 1 });
    world.assigned.clear();
    for (const clientId of [c, d]) {
      await world.checkIn(clientId);
      // Two wait when c has come, and one of them may be in the step: not enough for a round.
      await world.time.advance(100);
    }
    expect([...world.assigned.keys()]).toEqual([c, d]);
    const { roundNumber } = world.assigned.get(d)!;
    await world.round([c, d], roundNumber);
    expect(world.taken.map(({ participants }) => participants)).toEqual([
      [a, b],
      [c, d],
    ]);
    await world.stop();
  });

  test("[MM11] a round that ends before its noise counts for nobody", async () => {
    const world = await startWorld();
    for (const clientId of [a, b]) await world.checkIn(clientId);
    await world.report(a, 1);
    await world.time.advance(1_100);
    expect((await world.memory.countRounds(taskId)).abandoned).toBe(1);
    expect(await world.ledger()).toEqual([]);
    expect(await world.participation(a)).toBeUndefined();
    await world.time.advance(100);
    await world.round([a, b], 2);
    expect(await world.participation(a)).toEqual({ lastStep: 0, count: 1 });
    await world.stop();
  });

  test("[MM12] noise whose step could not be taken meets no sum: the step is taken again, with other noise", async () => {
    const world = await startWorld();
    world.failing.add("takeNoiseStep");
    await world.round([a, b], 1);
    expect(await world.ledger()).toEqual([]);
    expect(await world.participation(a)).toBeUndefined();
    expect(await world.version()).toBe(0);
    world.failing.clear();
    await world.time.advance(100);
    await world.round([a, b], 2);
    expect(world.taken).toMatchObject([{ step: 0, participants: [a, b] }]);
    expect(await world.version()).toBe(1);
    expect([...world.drawn[0]!]).not.toEqual([...world.drawn[1]!]);
    await world.stop();
  });

  test("[MM12] a sum of more or fewer updates than there are known contributors takes no step", async () => {
    const world = await startWorld();
    const { task, memory } = world;
    const charge = { mechanism: "matrix", noiseMultiplier: 2 } as const;
    const grid = createGrid({ noiseMultiplier: 2, clippingNorm: 1, parameterCount: 2 });
    for (const updates of [1, 3]) {
      const sum = createGridSum(grid);
      for (let i = 0; i < updates; i++)
        sum.add({ delta: denseDelta(Float32Array.of(1, 0)), numExamples: 1 });
      const noise = { add: () => Promise.reject(new Error("noise was drawn")) };
      const round = {
        ...{ roundId: "t.1" as RoundId, taskId, roundNumber: 1, baseModelVersion: 0, openedAt: 0 },
        claim: { kind: "none" },
        contributors: [a, b],
      } as const;
      await expect(
        releaseStep({ store: memory, noise, clock: world.time.clock }, task, round, sum, charge),
      ).rejects.toThrow(`the sum has ${updates} updates, of 2 clients that are known`);
    }
    expect(await world.ledger()).toEqual([]);
    await world.stop();
  });

  test("[MM12] a step that was taken is taken for good: after a crash before its release the next one follows", async () => {
    const world = await startWorld();
    world.failing.add("commitRound");
    await world.round([a, b], 1);
    expect(await world.ledger()).toMatchObject([{ status: "reserved" }]);
    expect(await world.version()).toBe(0);
    world.failing.clear();
    await world.restart();
    // Nobody is asked for the same updates again, and the charge counts.
    expect(await world.memory.getRound("t.1" as RoundId)).toMatchObject({
      phase: "abandoned",
      reason: "aggregationFailed",
    });
    expect(await world.ledger()).toMatchObject([{ status: "released" }]);
    await expect(world.checkIn(a)).rejects.toMatchObject({ code: "RATE_LIMITED" });
    await world.time.advance(100);
    await world.round([c, d], 2);
    expect(world.taken.map(({ step }) => step)).toEqual([0, 1]);
    expect(await world.version()).toBe(1);
    await world.stop();
  });

  test("[MM12] nobody can make the charge of a step void", async () => {
    const world = await startWorld();
    world.failing.add("commitRound");
    await world.round([a, b], 1);
    world.failing.clear();
    const event = { roundId: "t.1" as RoundId, taskId };
    const open = await world.memory.getOpenRound(taskId);
    await world.memory.abandonRound({
      round: { ...open!.round, phase: "abandoned", reason: "paused", endedAt: 1 },
    });
    expect(await world.ledger()).toMatchObject([{ ...event, status: "released" }]);
    await world.stop();
  });

  test("[MM13] a noise state that is missing, damaged or another step's ends the task, and releases nothing", async () => {
    for (const kind of ["missing", "damaged", "former"] as const) {
      const world = await startWorld();
      await world.round([a, b], 1);
      const former = (await world.memory.noiseState(taskId))!;
      if (kind === "former") await world.round([c, d], 2);
      const version = await world.version();
      const damaged = former.map((byte, i) => (i === 40 ? byte ^ 1 : byte));
      world.corrupt(kind === "missing" ? kind : kind === "damaged" ? damaged : former);
      await world.restart();
      expect(await world.ended(), kind).toBe("noiseStateLost");
      await expect(world.checkIn(c)).rejects.toMatchObject({
        code: "TASK_ENDED",
        details: { endReason: "noiseStateLost" },
      });
      expect(await world.version()).toBe(version);
      await world.stop();
    }
  });

  test("[MM13] a state that is lost while the task runs ends it with the round that misses it", async () => {
    const world = await startWorld();
    await world.round([a, b], 1);
    world.corrupt("missing");
    await world.round([c, d], 2);
    await world.time.settle();
    expect(await world.version()).toBe(1);
    expect(await world.participation(c)).toBeUndefined();
    expect(await world.ended()).toBe("noiseStateLost");
    await world.stop();
  });
});
