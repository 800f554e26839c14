import type { ClientId, RoundId, TaskId, TaskSpecInput } from "@tributary/protocol";
import {
  checksumOf,
  createLayout,
  decodeCheckpoint,
  encodeCheckpoint,
  sha256,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { denseDelta } from "../aggregation/encoded-delta.ts";
import { createSumMemories } from "../aggregation/kernel/sum-memories.ts";
import { createAssignmentTokens } from "../clients/assignment-token.ts";
import { createHmacSha256 } from "../identity/hmac.ts";
import { createBlobKeeper } from "../model/blob-keeper.ts";
import { manifestOf } from "../model/manifest.ts";
import { createModelRegistry } from "../model/registry.ts";
import { openSigner } from "../model/signer.ts";
import type { Evaluator } from "../ports.ts";
import { createIntegerNoise } from "../privacy/integer-noise.ts";
import { createSecureRandom, uniformFrom } from "../privacy/random.ts";
import { reckonHere } from "../privacy/reckoner.ts";
import { createMemoryBlobs, createMemoryStore } from "../storage/memory.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { startRoundEngine } from "./engine.ts";
import { fakeClock } from "./fake-clock.fixture.ts";

/** Enough that sums have memory of their own. */
const LENGTH = 10_000;
const taskId = "t" as TaskId;
const clients = ["a", "b", "c"].map((name) => name.repeat(8) as ClientId);
const noLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Signing goes through the thread pool, and so does this. */
async function settle() {
  for (let i = 0; i < 50; i++) await sha256(new Uint8Array(1));
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Rounds of three clients, two reports of which are enough, and the memory of their sums. */
async function startWorld(
  evaluator?: Evaluator,
  sampler: TaskSpecInput["sampler"] = { kind: "all" },
) {
  const time = fakeClock(settle);
  const store = createMemoryStore();
  const blobs = createBlobKeeper(createMemoryBlobs(), (digest) => store.isReferenced(digest));
  const shelf = createModelRegistry({ store, blobs }, { keepInMemory: 2 });
  const spec = resolveTaskSpec({
    taskId,
    model: { tensors: [{ name: "w", shape: [LENGTH] }] },
    sampler,
    ...(evaluator === undefined ? {} : { evaluation: { kind: "central", evaluator: "own" } }),
    schedule: { minClients: 3, minReports: 2, reportWindowMs: 1_000 },
  });
  const layout = await createLayout(spec.model.tensors);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights: new Float32Array(LENGTH) });
  const digest = await shelf.save(frame);
  const task = { taskId, spec, layout, state: "running" as const, createdAt: 0 };
  const random = createSecureRandom();
  const signer = await openSigner({ store, clock: time.clock, random }, {});
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt: 0 };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    store.createTask(task, { ...initial, signed }),
  );
  const sumMemories = createSumMemories();
  const engine = await startRoundEngine(
    {
      ...{ store, blobs, shelf, signer, sumMemories, clock: time.clock, logger: noLog },
      ...{ noise: createIntegerNoise(random), reckon: reckonHere },
      tokens: createAssignmentTokens(createHmacSha256(new Uint8Array(32))),
      events: { emit: () => {} },
      gateway: {
        assign: () => {},
        closeRound: () => {},
        publishModel: () => {},
        taskPaused: () => {},
        dismiss: () => {},
        taskEnded: () => {},
      },
      isConnected: () => true,
      uniformFor: () => uniformFrom(random),
      ...(evaluator === undefined ? {} : { evaluator }),
    },
    task,
    { disconnectGraceMs: 100, abandonedRetryMs: 50 },
  );

  /** An upload of such numbers, up to where it has been read. */
  async function begin(
    clientId: ClientId,
    roundNumber: number,
    value: number,
    giveUp: () => void = () => undefined,
  ) {
    const participant = { roundId: `t.${roundNumber}` as RoundId, taskId, clientId };
    await engine.uploadBegan(participant, giveUp);
    const slot = engine.slotsOf(participant.roundId).take(4 * LENGTH);
    if (slot === undefined) throw new Error("no slot is free");
    const { payload } = denseDelta(new Float32Array(LENGTH).fill(value));
    slot.bytes.set(payload);
    const update = {
      delta: { ...denseDelta(new Float32Array(LENGTH)), payload: slot.bytes },
      checksum: checksumOf(payload),
      ...{ numExamples: 1, metrics: {}, bytes: payload.length },
    };
    const end = () => {
      slot.release();
      engine.uploadEnded(participant, giveUp);
    };
    return { slot, end, report: () => engine.report(participant, update).finally(end) };
  }

  return {
    ...{ engine, time, sumMemories, begin },
    checkIn: async () => {
      await Promise.all(clients.map((clientId) => engine.checkIn(clientId)));
      await time.settle();
    },
    weights: async () => {
      const version = await store.latestModelVersion(taskId);
      if (version === undefined) throw new Error("there is no version");
      return decodeCheckpoint(layout, await shelf.checkpoint(version.digest)).weights;
    },
  };
}

const isAll = (weights: Float32Array, value: number) => weights.every((one) => one === value);

test("[KN11] an upload that goes on after its round was closed writes into no other round", async () => {
  const { engine, time, sumMemories, begin, checkIn, weights } = await startWorld();
  await checkIn();
  const late = await begin(clients[2]!, 1, 100);
  for (const clientId of clients.slice(0, 2)) await (await begin(clientId, 1, 1)).report();
  await time.advance(2_000);
  expect(isAll(await weights(), 1)).toBe(true);
  expect(sumMemories.idleBytes).toBe(0);
  await checkIn();
  const uploads = await Promise.all(clients.map((clientId) => begin(clientId, 2, 2)));
  for (const { slot } of uploads) expect(slot.bytes.buffer).not.toBe(late.slot.bytes.buffer);
  late.slot.bytes.fill(255);
  await expect(late.report()).rejects.toMatchObject({ code: "ROUND_CLOSED" });
  expect(sumMemories.idleBytes).toBe(late.slot.bytes.buffer.byteLength);
  for (const { report } of uploads) await report();
  await time.settle();
  expect(isAll(await weights(), 3)).toBe(true);
  expect(sumMemories.idleBytes).toBe(2 * late.slot.bytes.buffer.byteLength);
  await checkIn();
  const third = await begin(clients[0]!, 3, 3);
  expect([late.slot, uploads[0]!.slot].map(({ bytes }) => bytes.buffer)).toContain(
    third.slot.bytes.buffer,
  );
  await third.report();
  for (const clientId of clients.slice(1)) await (await begin(clientId, 3, 3)).report();
  await time.settle();
  expect(isAll(await weights(), 6)).toBe(true);
  await engine.stop(0);
});

test("[KN11] of a round that is given up while it is aggregated memory is lent again when nothing reads it", async () => {
  let finish = () => {};
  const evaluator: Evaluator = {
    evaluate: () =>
      new Promise((resolve) => {
        finish = () => resolve({ source: "central", numExamples: 1, loss: 0 });
      }),
  };
  const { engine, time, sumMemories, begin, checkIn } = await startWorld(evaluator);
  await checkIn();
  for (const clientId of clients) await (await begin(clientId, 1, 1)).report();
  await time.settle();
  await time.advance(200_000);
  expect(engine.snapshot().currentRound).toBeUndefined();
  await time.settle();
  expect(sumMemories.idleBytes).toBe(0);
  finish();
  await time.settle();
  expect(sumMemories.idleBytes).toBeGreaterThan(0);
  await engine.stop(0);
});

test("[KN12] a round that waits for clients holds no memory of rounds, which is let go of meanwhile", async () => {
  const { engine, time, sumMemories, begin, checkIn } = await startWorld();
  await checkIn();
  for (const clientId of clients) await (await begin(clientId, 1, 1)).report();
  await time.settle();
  const { idleBytes } = sumMemories;
  expect(idleBytes).toBeGreaterThan(0);
  await engine.checkIn(clients[0]!);
  await time.settle();
  expect(engine.snapshot().currentRound).toMatchObject({ roundNumber: 2, phase: "selecting" });
  expect(sumMemories.idleBytes).toBe(idleBytes);
  sumMemories.age();
  sumMemories.age();
  expect(sumMemories.idleBytes).toBe(0);
  await checkIn();
  for (const clientId of clients) await (await begin(clientId, 2, 1)).report();
  await time.settle();
  expect(engine.snapshot().currentRound).toBeUndefined();
  expect(sumMemories.idleBytes).toBe(idleBytes);
  await engine.stop(0);
});

test("[CH40] one that breaks off is waited for no longer, also while one of a round before is still under way", async () => {
  const goalOfTwo = { kind: "uniform", cohortSize: 2, overSelection: 0.5 } as const;
  const { engine, time, begin, checkIn, weights } = await startWorld(undefined, goalOfTwo);
  await checkIn();
  const former = await begin(clients[2]!, 1, 100);
  for (const clientId of clients.slice(0, 2)) await (await begin(clientId, 1, 1)).report();
  await time.advance(2_000);
  await checkIn();
  const broken = await begin(clients[2]!, 2, 100);
  for (const clientId of clients.slice(0, 2)) await (await begin(clientId, 2, 1)).report();
  broken.end();
  await time.settle();
  expect(engine.snapshot().currentRound).toBeUndefined();
  former.end();
  expect(isAll(await weights(), 2)).toBe(true);
  await engine.stop(0);
});

test("[RD30] what is still being sent for a round is given up when it ends, whoever that is, and nothing else", async () => {
  const { engine, time, begin, checkIn } = await startWorld();
  const givenUp: string[] = [];
  const note = (what: string) => () => void givenUp.push(what);
  await checkIn();
  for (const clientId of clients.slice(0, 2)) {
    await (await begin(clientId, 1, 1, note("counted"))).report();
  }
  (await begin(clients[2]!, 1, 1, note("broken off"))).end();
  await begin(clients[2]!, 1, 1, note("late"));
  await time.advance(999);
  expect(givenUp).toEqual([]);
  await time.advance(1_000);
  expect(engine.snapshot().currentRound).toBeUndefined();
  expect(givenUp).toEqual(["late"]);
  await checkIn();
  await begin(clients[0]!, 2, 1, note("of an abandoned round"));
  await engine.cancel();
  expect(givenUp).toEqual(["late", "of an abandoned round"]);
  await engine.stop(0);
});
