/** The port of finished updates: each waits here until its round has it or is over, also over a restart. */

import type { Checksum, Digest, RoundId, TaskId } from "@tributary/protocol";

/** One update as it is sent, and what it may be sent for. Read-only: it is shared. */
export interface PendingUpdate {
  readonly origin: string;
  readonly taskId: TaskId;
  readonly roundId: RoundId;
  /** Digest of the identity, base model and noise it was made with: it is sent for nothing else. */
  readonly madeFor: Digest;
  /** Of `frame`: what is damaged is found by it, and not sent. */
  readonly checksum: Checksum;
  readonly frame: Uint8Array;
}

/**
 * Holds at most one update for each task of each origin; one store for each client key. A fault costs a
 * training, no promise; a FederatedError ABORTED is a refusal: the person allows nothing to be sent any more.
 */
export interface PendingUpdateStore {
  get(origin: string, taskId: TaskId): Promise<PendingUpdate | undefined>;
  /** Takes the place of the task's former one; durable when it resolves. */
  put(update: PendingUpdate): Promise<void>;
  /** Deletes the update if it is of this round; another one stays. */
  delete(origin: string, taskId: TaskId, roundId: RoundId): Promise<void>;
  /**
   * Asked before an upload is tried again: a page that was asleep meanwhile has not heard what the person said in
   * another one. @throws FederatedError ABORTED when nothing may be sent any more
   */
  checkAllowed?(): Promise<void>;
}

/** Updates that last as long as the process. */
export function createMemoryPendingUpdates(): PendingUpdateStore {
  const updates = new Map<string, PendingUpdate>();
  const keyOf = (origin: string, taskId: TaskId) => `${origin} ${taskId}`;
  return {
    get: async (origin, taskId) => updates.get(keyOf(origin, taskId)),
    put: async (update) => void updates.set(keyOf(update.origin, update.taskId), update),
    delete: async (origin, taskId, roundId) => {
      const key = keyOf(origin, taskId);
      if (updates.get(key)?.roundId === roundId) updates.delete(key);
    },
  };
}
