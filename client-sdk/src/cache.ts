/** The cache port: the newest model of each task, kept so that no byte is fetched twice. */

import type { CheckpointRef, Digest, Layout, TaskId } from "@tributary/protocol";

export interface CachedModel {
  readonly layout: Layout;
  readonly checkpoint: Pick<CheckpointRef, "modelVersion" | "digest" | "bytes">;
  /** The checkpoint frame. Read-only: it is shared. */
  readonly frame: Uint8Array;
}

/**
 * Holds one version per task. Whoever implements it verifies what it reads where it can be damaged;
 * a fault of the cache is a miss, and a `put` that fails throws.
 */
export interface ModelCache {
  /** The newest version that was put. */
  get(taskId: TaskId): Promise<CachedModel | undefined>;
  /** The frame with this digest, whichever task's it is. */
  getFrame(digest: Digest): Promise<Uint8Array | undefined>;
  /** Replaces the task's version; one that is older than the version held changes nothing. */
  put(taskId: TaskId, model: CachedModel): Promise<void>;
}

/** A cache that lasts as long as the process. May be shared by several clients. */
export function createMemoryCache(): ModelCache {
  const models = new Map<TaskId, CachedModel>();
  return {
    get: async (taskId) => models.get(taskId),
    getFrame: async (digest) =>
      [...models.values()].find((model) => model.checkpoint.digest === digest)?.frame,
    put: async (taskId, model) => {
      const held = models.get(taskId)?.checkpoint.modelVersion ?? -1;
      if (model.checkpoint.modelVersion >= held) models.set(taskId, model);
    },
  };
}
