/**
 * Encodes updates as their plan asks, and remembers what was left out (error feedback: Seide et al. 2014; Karimireddy
 * et al. 2019, arXiv:1901.09847). Loaded when a plan first asks for anything but float32.
 */

import type { Assignment, Layout, RoundId, TaskId, Update } from "@tributary/protocol";
import {
  decodingSlices,
  frameUpdate,
  payloadSlices,
  seededBits,
  sha256,
} from "@tributary/protocol";

import { createBreather } from "../breather.ts";
import { throwIfAborted } from "../delay.ts";
import type { FeedbackStore } from "./feedback-store.ts";
import type { HeldFeedback } from "./held-feedback.ts";
import { fromBytes, toBytes } from "./held-feedback.ts";
import { secureBits } from "./random-bits.ts";

export interface EncodingJob {
  readonly assignment: Assignment;
  readonly layout: Layout;
  readonly update: Update;
  /** Who sends it: what one left out is nothing to another. */
  readonly clientKey: string;
  readonly signal: AbortSignal;
}

export interface UpdateEncoder {
  /**
   * The frame of an update. With feedback, what earlier ones left out goes with it, and what this one leaves out is
   * in the store before it resolves.
   * @throws FederatedError UPDATE_NOT_FINITE, ABORTED
   */
  encode(job: EncodingJob): Promise<Uint8Array>;
  /** The update of this round is in the sum: what it left out is what is left out from now on. */
  counted(roundId: RoundId): Promise<void>;
  /** The sum of this round came to nothing: what was sent is lost, what was left out before is not. */
  abandoned(roundId: RoundId): Promise<void>;
  /** Deletes what is kept of the task. */
  forget(): Promise<void>;
}

export { encodingFault } from "./encoding-fault.ts";

/** @param tellError a store that fails costs accuracy, and is told of and nothing else */
export function createUpdateEncoder(
  store: FeedbackStore,
  { origin, taskId }: { readonly origin: string; readonly taskId: TaskId },
  tellError: (error: unknown) => void,
): UpdateEncoder {
  /** What was there before the last update was counted, should its round come to nothing. */
  let before: { readonly roundId: RoundId; readonly held: HeldFeedback } | undefined;
  /** How often all was forgotten: an update that was begun before leaves nothing behind. */
  let forgotten = 0;
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T | undefined> {
    const done = last.then(work).catch((error: unknown) => {
      tellError(error);
      return undefined;
    });
    last = done;
    return done;
  }
  const read = async (vectorBytes?: number) => {
    const bytes = await store.get(origin, taskId);
    return bytes && (await fromBytes(bytes, vectorBytes));
  };
  const write = async (held: HeldFeedback) => store.put(origin, taskId, await toBytes(held));

  /** What is kept for just this: the task's model as it goes on, its layout, this client, this encoding. */
  const keptFor = async ({ assignment, layout, clientKey }: EncodingJob) => {
    const { plan, checkpoint } = assignment;
    const text = JSON.stringify([clientKey, layout.digest, plan.encoding]);
    const line = await sha256(new TextEncoder().encode(text));
    const held = await inTurn(() => read(4 * layout.parameterCount));
    const isOwn = held?.line === line && held.modelVersion <= checkpoint.modelVersion;
    const kept = isOwn ? held.kept : undefined;
    return { ...{ line, modelVersion: checkpoint.modelVersion }, ...(kept && { kept }) };
  };

  return {
    encode: async (job) => {
      const { assignment, layout, update, signal } = job;
      const { encoding, seed } = assignment.plan;
      const begun = forgotten;
      const inSlices = createSlicer(signal);
      const feedback = "feedback" in encoding && encoding.feedback ? await keptFor(job) : undefined;
      const vector =
        feedback === undefined ? update.delta : await inSlices(sum(update.delta, feedback.kept));
      const random = seed === undefined ? secureBits : seededBits(seed, vector);
      const payload = await inSlices(payloadSlices(encoding, vector, random));
      if (feedback !== undefined) {
        const { roundId } = assignment;
        // The vector is our own here: what was sent is taken out of it.
        await inSlices(
          decodingSlices(encoding, vector.length, payload, (value, index) => {
            vector[index] = (vector[index] as number) - value;
          }),
        );
        const next = { roundId, bytes: bytesOf(vector) };
        await inTurn(async () => {
          if (begun === forgotten) await write({ ...feedback, next });
        });
      }
      const { numExamples, metrics } = update;
      return frameUpdate(layout, { format: encoding, payload, numExamples, metrics });
    },
    counted: async (roundId) => {
      await inTurn(async () => {
        const held = await read();
        if (held?.next?.roundId !== roundId) return;
        const { next, kept, ...line } = held;
        before = { roundId, held: { ...line, ...(kept && { kept }) } };
        await write({ ...line, kept: next.bytes });
      });
    },
    abandoned: async (roundId) => {
      await inTurn(async () => {
        const own = before;
        before = undefined;
        if (own?.roundId === roundId) await write(own.held);
      });
    },
    forget: async () => {
      forgotten += 1;
      before = undefined;
      await inTurn(() => store.delete(origin, taskId));
    },
  };
}

/** Steps through work that comes in slices, with the event loop's turns in between. */
function createSlicer(signal: AbortSignal) {
  const breathe = createBreather();
  return async <T>(slices: Generator<undefined, T>): Promise<T> => {
    for (;;) {
      const step = slices.next();
      if (step.done === true) return step.value;
      await breathe();
      throwIfAborted(signal);
    }
  };
}

const SLICE = 65_536;

/** delta + what was kept, a vector of its own. */
function* sum(delta: Float32Array, kept?: Uint8Array): Generator<undefined, Float32Array> {
  const vector = delta.slice();
  if (kept === undefined) return vector;
  const numbers = new DataView(kept.buffer, kept.byteOffset, kept.length);
  for (let i = 0; i < vector.length; i++) {
    vector[i] = (vector[i] as number) + numbers.getFloat32(4 * i, true);
    if (i % SLICE === SLICE - 1) yield;
  }
  return vector;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function bytesOf(vector: Float32Array): Uint8Array {
  if (LITTLE_ENDIAN) return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  const bytes = new Uint8Array(vector.byteLength);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of vector.entries()) view.setFloat32(4 * i, value, true);
  return bytes;
}
