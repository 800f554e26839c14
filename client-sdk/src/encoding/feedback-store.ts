/** The port of error feedback: what a client has not sent yet of what it learned, in bytes that say nothing to a store. */

import type { TaskId } from "@tributary/protocol";

/**
 * Holds one text of bytes for each task of each origin; one store for each client key. It is made of the client's
 * data, and belongs where they are. A fault, or a loss, costs accuracy and no promise.
 */
export interface FeedbackStore {
  get(origin: string, taskId: TaskId): Promise<Uint8Array | undefined>;
  /** Takes the place of the former one, whole; durable when it resolves. */
  put(origin: string, taskId: TaskId, bytes: Uint8Array): Promise<void>;
  delete(origin: string, taskId: TaskId): Promise<void>;
}

/** Feedback that lasts as long as the process. */
export function createMemoryFeedback(): FeedbackStore {
  const kept = new Map<string, Uint8Array>();
  const keyOf = (origin: string, taskId: TaskId) => `${origin} ${taskId}`;
  return {
    get: async (origin, taskId) => kept.get(keyOf(origin, taskId)),
    put: async (origin, taskId, bytes) => void kept.set(keyOf(origin, taskId), bytes),
    delete: async (origin, taskId) => void kept.delete(keyOf(origin, taskId)),
  };
}
