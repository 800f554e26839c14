/** A task's finished update in its store: found again for the very place it was made for, and for no other. */

import type { Assignment, ClientId, Digest, RoundId, TaskId } from "@tributary/protocol";
import { isFederatedError, sha256 } from "@tributary/protocol";

import { checkFrame } from "./frame-checksum.ts";
import type { PendingUpdate, PendingUpdateStore } from "./pending-updates.ts";

/** Who speaks: the client's own secret, and the name that the coordinator gave it for that. */
export interface Identity {
  readonly clientKey: string;
  readonly clientId: ClientId;
}

/**
 * A store that fails costs a training: its faults are told and nothing else. One that refuses, with ABORTED, speaks
 * for the person: `find` and `keep` throw that, and nothing may be sent.
 */
export interface KeptUpdate {
  /** The frame that was made for this assignment. What is kept for anything else is deleted. */
  find(assignment: Assignment, identity: Identity): Promise<Uint8Array | undefined>;
  /** Keeps the frame before it is sent. */
  keep(assignment: Assignment, identity: Identity, frame: Uint8Array): Promise<void>;
  /** @throws FederatedError ABORTED when nothing may be sent any more */
  checkAllowed(): Promise<void>;
  /** Deletes what is kept of this round; without one, whatever is kept of the task. */
  forget(roundId?: RoundId): Promise<void>;
}

export function createKeptUpdate(
  store: PendingUpdateStore,
  { origin, taskId }: { readonly origin: string; readonly taskId: TaskId },
  tellError: (error: unknown) => void,
): KeptUpdate {
  /** One after the other: what is forgotten while it is being written is deleted after that. */
  let last: Promise<unknown> = Promise.resolve();
  function inTurn<T>(work: () => Promise<T>): Promise<T | undefined> {
    const done = last.then(work).catch((error: unknown) => {
      if (isRefusal(error)) throw error;
      tellError(error);
      return undefined;
    });
    last = done.catch(() => undefined);
    return done;
  }

  return {
    find: (assignment, identity) =>
      inTurn(async () => {
        const kept = await store.get(origin, taskId);
        if (kept === undefined) return undefined;
        if (await isFor(kept, assignment, identity)) return kept.frame;
        await store.delete(origin, taskId, kept.roundId);
        return undefined;
      }),
    keep: async (assignment, identity, frame) => {
      await inTurn(async () => {
        const madeFor = await purposeOf(assignment, identity);
        const checksum = await checkFrame(frame);
        const { roundId } = assignment;
        await store.put({ origin, taskId, roundId, madeFor, checksum, frame });
      });
    },
    checkAllowed: async () => {
      await inTurn(async () => store.checkAllowed?.());
    },
    forget: async (roundId) => {
      // Where there is nobody any more, nothing is left to be forgotten.
      await inTurn(async () => {
        const kept = roundId ?? (await store.get(origin, taskId))?.roundId;
        if (kept !== undefined) await store.delete(origin, taskId, kept);
      }).catch(tellError);
    },
  };
}

const isRefusal = (error: unknown) => isFederatedError(error) && error.code === "ABORTED";

const isFor = async (
  { roundId, madeFor, checksum, frame }: PendingUpdate,
  assignment: Assignment,
  identity: Identity,
): Promise<boolean> =>
  roundId === assignment.roundId &&
  madeFor === (await purposeOf(assignment, identity)) &&
  frame.length <= assignment.update.maxBytes &&
  checksum === (await checkFrame(frame));

/**
 * Whom an update is of, and what it was made from and by which rules. A round's id alone is not enough: a
 * coordinator that was set up anew counts its rounds from the beginning, and keys and accounts change.
 */
function purposeOf(
  { checkpoint, plan }: Assignment,
  { clientKey, clientId }: Identity,
): Promise<Digest> {
  const { clippingNorm, localNoise, participation, evaluate, encoding } = plan;
  const { noiseMultiplier, delta, maxEpsilon } = localNoise ?? {};
  const { minSeparation, maxParticipations } = participation ?? {};
  const noise = [noiseMultiplier, delta, maxEpsilon];
  const rules = [clippingNorm, ...noise, minSeparation, maxParticipations, evaluate, encoding];
  // The key comes first, and is as long as always: its digest tells nobody anything.
  const text = JSON.stringify([clientKey, clientId, checkpoint.digest, ...rules]);
  return sha256(new TextEncoder().encode(text));
}
