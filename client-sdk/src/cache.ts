/** The cache port: the newest model of each task, so that no byte is fetched twice, and whose models they may be. */

import type {
  CheckpointRef,
  Digest,
  KeyRecord,
  Layout,
  PublicKey,
  TaskId,
} from "@tributary/protocol";

export interface CachedModel {
  readonly layout: Layout;
  readonly checkpoint: Pick<CheckpointRef, "modelVersion" | "digest" | "bytes" | "signed">;
  /** The checkpoint frame. Read-only: it is shared. */
  readonly frame: Uint8Array;
}

/** The keys that a coordinator's models are trusted with. */
export interface TrustedKeys {
  /** Pinned by the app, or the first one that was seen. */
  readonly firstKey: PublicKey;
  /** The keys that were handed over to since, oldest first; the last one is in force. */
  readonly successors: readonly KeyRecord[];
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
  /**
   * What was put for this coordinator; undefined only where nothing ever was. What is damaged or cannot be
   * read throws: else whoever answers next would be trusted as if for the first time.
   */
  getTrust(origin: string): Promise<TrustedKeys | undefined>;
  /** Lasts as long as the models do. Throws when it cannot be kept. */
  putTrust(origin: string, keys: TrustedKeys): Promise<void>;
}

/** A cache that lasts as long as the process. May be shared by several clients. */
export function createMemoryCache(): ModelCache {
  const models = new Map<TaskId, CachedModel>();
  const trusted = new Map<string, TrustedKeys>();
  return {
    get: async (taskId) => models.get(taskId),
    getFrame: async (digest) =>
      [...models.values()].find((model) => model.checkpoint.digest === digest)?.frame,
    put: async (taskId, model) => {
      const held = models.get(taskId)?.checkpoint.modelVersion ?? -1;
      if (model.checkpoint.modelVersion >= held) models.set(taskId, model);
    },
    getTrust: async (origin) => trusted.get(origin),
    putTrust: async (origin, keys) => void trusted.set(origin, keys),
  };
}
