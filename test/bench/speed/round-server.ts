/**
 * A coordinator without its listener: real tokens, intake, engine, sum, release, signature, SQLite and files. What
 * clients send comes from memory, in the pieces that a socket would deliver, through the reader of updates.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";

import type {
  Assignment,
  ClientId,
  ContentDigest,
  RoundClosed,
  TaskId,
  TaskSpecInput,
} from "@tributary/protocol";
import { checksumOf, createLayout, encodeCheckpoint } from "@tributary/protocol";

import { createSumMemories } from "../../../coordinator/src/aggregation/kernel/sum-memories.ts";
import { createAttentiveClock } from "../../../coordinator/src/attentive-clock.ts";
import { createAssignmentTokens } from "../../../coordinator/src/clients/assignment-token.ts";
import { systemClock } from "../../../coordinator/src/clock.ts";
import { resolveConfig } from "../../../coordinator/src/config/schema.ts";
import { createAdmission } from "../../../coordinator/src/http/admission.ts";
import { readUpdate } from "../../../coordinator/src/http/read-update.ts";
import { createHmacSha256 } from "../../../coordinator/src/identity/hmac.ts";
import { createBlobKeeper } from "../../../coordinator/src/model/blob-keeper.ts";
import { manifestOf } from "../../../coordinator/src/model/manifest.ts";
import { createModelRegistry } from "../../../coordinator/src/model/registry.ts";
import { openSigner } from "../../../coordinator/src/model/signer.ts";
import { createNoise } from "../../../coordinator/src/privacy/noise.ts";
import { createSecureRandom } from "../../../coordinator/src/privacy/random.ts";
import { reckonHere } from "../../../coordinator/src/privacy/reckoner.ts";
import { startRoundEngine } from "../../../coordinator/src/round/engine.ts";
import { createUpdateIntake } from "../../../coordinator/src/round/intake.ts";
import { createSeededUniform } from "../../../coordinator/src/round/sampler.ts";
import { createFileBlobs } from "../../../coordinator/src/storage/blobs.ts";
import { createSqliteStore } from "../../../coordinator/src/storage/sqlite.ts";
import { resolveTaskSpec } from "../../../coordinator/src/task/spec.ts";

export interface RoundServer extends AsyncDisposable {
  /** One whole round: everybody checks in, everybody reports, a version is committed. */
  round(bodies: readonly Body[]): Promise<void>;
}

/** An update as a client sends it. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly contentDigest: ContentDigest;
}

/** To be sent again and again: no piece of it has its memory alone, or whoever read it would give that back. */
export function bodyOf(frame: Uint8Array): Body {
  const bytes = new Uint8Array(frame.length + 1).subarray(1);
  bytes.set(frame);
  return { bytes, contentDigest: { checksum: checksumOf(bytes) } };
}

/** What a read from a TCP socket delivers at most. */
const PIECE_BYTES = 65_536;

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** @param clients of every round */
export async function startRoundServer(
  input: TaskSpecInput,
  clients: number,
): Promise<RoundServer> {
  const folder = await mkdtemp(join(tmpdir(), "tributary-bench-"));
  const store = await createSqliteStore({ file: join(folder, "store.sqlite"), mayBeNew: true });
  const fileBlobs = await createFileBlobs({ directory: join(folder, "blobs") });
  const blobs = createBlobKeeper(fileBlobs, (digest) => store.isReferenced(digest));
  const { checkpoints, limits, timing } = resolveConfig({});
  const shelf = createModelRegistry({ store, blobs }, checkpoints);
  const clock = createAttentiveClock(systemClock);
  const random = createSecureRandom();
  const signer = await openSigner({ store, clock, random }, {});
  const tokens = createAssignmentTokens(createHmacSha256(random.bytes(32)));

  const spec = resolveTaskSpec(input);
  const { taskId } = spec;
  const layout = await createLayout(spec.model.tensors);
  const weights = new Float32Array(layout.parameterCount);
  const frame = encodeCheckpoint(layout, { modelVersion: 0, weights });
  const createdAt = clock.now();
  const task = { taskId, spec, layout, state: "running" as const, createdAt };
  const digest = await shelf.save(frame);
  const initial = { taskId, modelVersion: 0, digest, bytes: frame.length, createdAt };
  await signer.signAndSave(manifestOf(task, initial, undefined, []), (signed) =>
    store.createTask(task, { ...initial, signed }),
  );

  const assigned = createCourier<Assignment>();
  const closed = createCourier<RoundClosed>();
  const engine = await startRoundEngine(
    {
      ...{ store, blobs, shelf, clock, signer, tokens, logger: silent },
      ...{ noise: createNoise(spec, random), reckon: reckonHere },
      sumMemories: createSumMemories(),
      isConnected: () => true,
      uniformFor: () => createSeededUniform(1),
      events: { emit: () => {} },
      gateway: {
        assign: (clientId, assignment) => assigned.deliver(clientId, assignment),
        closeRound: (clientIds, message) => {
          for (const clientId of clientIds) closed.deliver(clientId, message);
        },
        publishModel: () => {},
        taskPaused: () => {},
        taskEnded: () => {},
        dismiss: () => {},
      },
    },
    task,
    timing,
  );
  const intake = createUpdateIntake({
    ...{ tokens, clock },
    authenticator: { assertAdmitted: async () => {} },
    engineOf: (asked: TaskId) => (asked === taskId ? engine : undefined),
  });
  const admission = createAdmission({
    concurrent: limits.concurrentUploads,
    queued: limits.queuedUploads,
    memoryBytes: limits.uploadMemoryBytes,
    retryAfterMs: 1_000,
  });

  async function takePart(clientId: ClientId, { bytes, contentDigest }: Body): Promise<void> {
    const invited = assigned.next(clientId);
    const { assignment } = await engine.checkIn(clientId);
    if (assignment !== undefined) assigned.deliver(clientId, assignment);
    const { roundId, update } = await invited;
    const end = closed.next(clientId);
    const ending = new AbortController();
    const { participant, leave, ...own } = await intake.admit(roundId, update.token);
    const turn = await admission.enter(`${roundId} ${clientId}`, bytes.length, ending);
    const received = await readUpdate(inPieces(bytes), {
      ...{ ...own, signal: ending.signal, contentLength: bytes.length, contentDigest },
      onBytes: () => {},
    });
    await intake.report(participant, received).finally(turn);
    leave();
    const { outcome } = await end;
    if (outcome !== "committed") throw new Error(`the round was ${outcome}`);
  }

  return {
    round: async (bodies) => {
      const parts = Array.from({ length: clients }, (_, i) =>
        takePart(`client-${i}` as ClientId, bodies[i % bodies.length] as Body),
      );
      await Promise.all(parts);
    },
    [Symbol.asyncDispose]: async () => {
      await engine.stop(0);
      clock.stop();
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What each client waits for next. */
function createCourier<Message>() {
  const waiting = new Map<ClientId, (message: Message) => void>();
  return {
    next: (clientId: ClientId) => new Promise<Message>((resolve) => waiting.set(clientId, resolve)),
    /** Who waits for nothing has it already: an assignment is pushed, and in the answer to a check-in. */
    deliver: (clientId: ClientId, message: Message) => {
      waiting.get(clientId)?.(message);
      waiting.delete(clientId);
    },
  };
}

/** A body as a socket has it, from memory. */
function inPieces(bytes: Uint8Array): Readable {
  let at = 0;
  return new Readable({
    read() {
      if (at >= bytes.length) this.push(null);
      else this.push(bytes.subarray(at, (at += PIECE_BYTES)));
    },
  });
}
