/** The cache port: the newest model of each task, so that no byte is fetched twice, and whose models they may be. */

import type {
  CheckpointRef,
  Digest,
  KeyRecord,
  Layout,
  PublicKey,
  ServingEncoding,
  TaskId,
} from "@tributary/protocol";

export interface CachedModel {
  readonly layout: Layout;
  /** `digest` and `bytes` are those of the frame. */
  readonly checkpoint: Pick<CheckpointRef, "modelVersion" | "digest" | "bytes" | "signed">;
  /** Where the frame is a copy for serving: of which checkpoint, and how it is encoded. */
  readonly copyOf?: CopyOf;
  /** The checkpoint frame, or a copy of it. Read-only: it is shared. */
  readonly frame: Uint8Array;
}

export interface CopyOf {
  readonly encoding: ServingEncoding;
  /** SHA-256 and size of the exact checkpoint frame. */
  readonly digest: Digest;
  readonly bytes: number;
}

/** The keys that a coordinator's models are trusted with. */
export interface TrustedKeys {
  /** Pinned by the app, or the first one that was seen. */
  readonly firstKey: PublicKey;
  /** The keys that were handed over to since, oldest first; the last one is in force. */
  readonly successors: readonly KeyRecord[];
}

/**
 * Holds one version per task, and apart from it one copy for each encoding that is asked for. Whoever implements it verifies what it reads where it can be damaged;
 * a fault of the cache is a miss, and a `put` that fails throws.
 */
export interface ModelCache {
  /** The newest exact version that was put, or with `encoding` the newest of such copies. */
  get(taskId: TaskId, encoding?: ServingEncoding): Promise<CachedModel | undefined>;
  /** The frame with this digest, whichever task's it is. */
  getFrame(digest: Digest): Promise<Uint8Array | undefined>;
  /** Replaces the task's version, or its copy of this encoding; one that is older than the version held changes nothing. */
  put(taskId: TaskId, model: CachedModel): Promise<void>;
  /**
   * What was put for this coordinator; undefined only where nothing ever was. What is damaged or cannot be
   * read throws: else whoever answers next would be trusted as if for the first time.
   */
  getTrust(origin: string): Promise<TrustedKeys | undefined>;
  /** Lasts as long as the models do. Throws when it cannot be kept. */
  putTrust(origin: string, keys: TrustedKeys): Promise<void>;
}

/** Where a cache keeps a task's version, or its copy of an encoding: no task's id has a dot. */
export const placeOf = (taskId: TaskId, encoding: ServingEncoding | undefined): string =>
  encoding === undefined ? taskId : `${taskId}.${encoding}`;

/** A cache that lasts as long as the process. May be shared by several clients. */
export function createMemoryCache(): ModelCache {
  const models = new Map<string, CachedModel>();
  const trusted = new Map<string, TrustedKeys>();
  return {
    get: async (taskId, encoding) => models.get(placeOf(taskId, encoding)),
    getFrame: async (digest) =>
      [...models.values()].find((model) => model.checkpoint.digest === digest)?.frame,
    put: async (taskId, model) => {
      const place = placeOf(taskId, model.copyOf?.encoding);
      const held = models.get(place)?.checkpoint.modelVersion ?? -1;
      if (model.checkpoint.modelVersion >= held) models.set(place, model);
    },
    getTrust: async (origin) => trusted.get(origin),
    putTrust: async (origin, keys) => void trusted.set(origin, keys),
  };
}
