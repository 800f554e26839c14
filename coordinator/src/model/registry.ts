/** Versions of models, and their checkpoint frames: encoded once, recent ones served from memory. */

import type { CheckpointRef, Digest, ModelResource } from "@tributary/protocol";
import { decodeFrameHeader, FederatedError, isServingCopy, routes } from "@tributary/protocol";

import type { Logger, ModelRegistry, ModelVersionRecord, Store } from "../ports.ts";
import type { BlobKeeper } from "./blob-keeper.ts";
import { createCheckpointDeltas } from "./checkpoint-deltas.ts";
import { copiesResource } from "./serving-copies.ts";

export interface ModelRegistryDeps {
  readonly store: Store;
  readonly blobs: Pick<BlobKeeper, "put" | "get">;
  /** Absent: clients get whole checkpoints. */
  readonly deltas?: {
    readonly gzip: (bytes: Uint8Array) => Promise<Uint8Array>;
    readonly logger: Pick<Logger, "warn">;
  };
}

/** The registry with the side that only the coordinator itself may use. */
export interface ModelShelf extends ModelRegistry {
  /** Makes a frame durable and keeps it in memory. Its blob is held until it is settled. */
  save(frame: Uint8Array): Promise<Digest>;
}

export interface ModelRegistryOptions {
  /** Recent frames to serve from memory; the others are read from disk. */
  readonly keepInMemory: number;
  /** For deltas between them. 0 or absent: none are made. */
  readonly deltaMemoryBytes?: number;
}

export function createModelRegistry(
  { store, blobs, deltas: deltaTools }: ModelRegistryDeps,
  options: ModelRegistryOptions,
): ModelShelf {
  const recent = new Map<Digest, Uint8Array>();
  /** Apart, so that copies do not drive exact ones out. */
  const recentCopies = new Map<Digest, Uint8Array>();

  const remember = (digest: Digest, frame: Uint8Array) => {
    const frames = isServingCopy(frame) ? recentCopies : recent;
    frames.delete(digest);
    frames.set(digest, frame);
    for (const oldest of frames.keys()) {
      if (frames.size <= options.keepInMemory) break;
      frames.delete(oldest);
    }
  };

  /** What was published under this digest, and stays where it is. */
  const frameOf = async (digest: Digest) => {
    // What was made and never published is nobody's, though its bytes may be here; and the blob store
    // holds optimizer states, which are not for the network.
    if (!(await store.isReferenced(digest))) return undefined;
    const frame = recent.get(digest) ?? recentCopies.get(digest) ?? (await blobs.get(digest));
    return frame !== undefined && isCheckpointFrame(frame) ? frame : undefined;
  };

  const deltas =
    deltaTools === undefined
      ? undefined
      : createCheckpointDeltas(
          { ...deltaTools, frameOf },
          { deltaMemoryBytes: options.deltaMemoryBytes ?? 0 },
        );

  const requireFrame = async (digest: Digest) => {
    const frame = await frameOf(digest);
    if (frame === undefined) {
      throw new FederatedError("MODEL_NOT_FOUND", `no checkpoint with digest ${digest}`);
    }
    remember(digest, frame);
    return frame;
  };

  const requireTask = async (taskId: ModelVersionRecord["taskId"]) => {
    const task = await store.getTask(taskId);
    if (task === undefined) throw new FederatedError("TASK_NOT_FOUND", `no task "${taskId}"`);
    return task;
  };

  return {
    save: async (frame) => {
      const digest = await blobs.put(frame);
      remember(digest, frame);
      return digest;
    },
    list: async (taskId, page) => {
      const { layout } = await requireTask(taskId);
      const versions = await store.listModelVersions(taskId, page);
      const last = versions.at(-1);
      return {
        items: versions.map((version) => modelResource(version, layout.digest)),
        ...(last !== undefined && versions.length === page.limit && last.modelVersion > 0
          ? { next: last.modelVersion }
          : {}),
      };
    },
    get: async (taskId, modelVersion) => {
      const { layout } = await requireTask(taskId);
      const version =
        modelVersion === "latest"
          ? await store.latestModelVersion(taskId)
          : await store.getModelVersion(taskId, modelVersion);
      if (version === undefined) {
        const newest = (await store.latestModelVersion(taskId))?.modelVersion ?? 0;
        const missing =
          Number(modelVersion) < newest
            ? `model version ${modelVersion} of task "${taskId}" is not kept any more (retention.modelVersions)`
            : `task "${taskId}" has no model version ${modelVersion}`;
        throw new FederatedError("MODEL_NOT_FOUND", missing);
      }
      return modelResource(version, layout.digest);
    },
    checkpoint: requireFrame,
    delta: async (digest, base) => {
      if (deltas === undefined || !(await store.isReferenced(base))) return undefined;
      // A delta says as much as the checkpoint, so it goes with it.
      if (!(await store.isReferenced(digest))) return undefined;
      return deltas.between(base, digest);
    },
  };
}

/** The exact one, or a copy of it. */
function isCheckpointFrame(frame: Uint8Array): boolean {
  if (isServingCopy(frame)) return true;
  try {
    decodeFrameHeader(frame, "checkpoint");
    return true;
  } catch {
    return false;
  }
}

/** Where the bytes of a version are, and who vouches for them. */
export function checkpointRef(version: ModelVersionRecord): CheckpointRef {
  return {
    modelVersion: version.modelVersion,
    digest: version.digest,
    bytes: version.bytes,
    url: routes.checkpointByDigest.path({ digest: version.digest }),
    signed: version.signed,
  };
}

export function modelResource(version: ModelVersionRecord, layoutDigest: Digest): ModelResource {
  return {
    ...checkpointRef(version),
    taskId: version.taskId,
    ...(version.roundNumber === undefined ? {} : { roundNumber: version.roundNumber }),
    createdAt: new Date(version.createdAt).toISOString(),
    layoutDigest,
    ...(version.evaluation === undefined ? {} : { evaluation: version.evaluation }),
    ...(version.copies === undefined ? {} : { copies: copiesResource(version.copies) }),
  };
}
