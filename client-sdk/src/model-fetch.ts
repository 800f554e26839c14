/** A checkpoint reference -> its verified manifest, frame and weights, from the cache where it has them. */

import type { CheckpointRef, Layout, ModelManifest, TaskId } from "@tributary/protocol";
import {
  createLayout,
  decodeCheckpoint,
  FederatedError,
  FRAME_HEADER_BYTES,
  MIN_DELTA_FRAME_BYTES,
  routes,
} from "@tributary/protocol";

import type { ModelCache } from "./cache.ts";
import { throwIfAborted } from "./delay.ts";
import type { Http, RequestOptions } from "./http.ts";
import type { ModelTrust } from "./trust.ts";

export interface ModelFetchDeps {
  readonly http: Http;
  readonly cache: ModelCache;
  readonly trust: ModelTrust;
  /** Told of faults of the cache, which cost a download and nothing else. */
  readonly onCacheError: (error: unknown) => void;
}

/** What had to come for a version. */
export interface ModelDownload {
  /** `delta`: what it differs in from a former one; `copy`: in fewer bits; `cache`: nothing, it was there. */
  readonly how: "whole" | "delta" | "copy" | "cache";
  /** Bodies of all answers that were read for it, those that were of no use included. */
  readonly bytes: number;
}

/** A download that is under way. */
export interface Tally {
  how: ModelDownload["how"];
  bytes: number;
}

export interface PatchOptions {
  readonly signal: AbortSignal;
  readonly tally: Tally;
}

export interface FetchedModel {
  readonly download: ModelDownload;
  /** In memory of their own. */
  readonly weights: Float32Array;
  readonly manifest: ModelManifest;
}

export interface WantedModel {
  readonly taskId: TaskId;
  readonly layout: Layout;
  readonly checkpoint: CheckpointRef;
}

/**
 * A model version whose manifest is signed by a trusted key. Nothing is fetched for any other.
 * @throws FederatedError MODEL_UNTRUSTED, CHECKPOINT_CORRUPT, UPDATE_LAYOUT_MISMATCH, MODEL_NOT_FOUND, ABORTED, …
 */
export async function fetchModel(
  deps: ModelFetchDeps,
  model: WantedModel,
  options: RequestOptions,
): Promise<FetchedModel> {
  const { http, cache, trust, onCacheError } = deps;
  const { taskId, layout, checkpoint } = model;
  const inUse = { taskId, layoutDigest: layout.digest, checkpoint };
  const manifest = await trust.verifyReceived(inUse, options);
  // Who signs may lie as well: no memory is taken for more than the model is.
  if (checkpoint.bytes !== FRAME_HEADER_BYTES + 4 * layout.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `a checkpoint of ${checkpoint.bytes} bytes cannot be one of ${layout.parameterCount} parameters`,
    );
  }
  const held = await cache.getFrame(checkpoint.digest).catch(onCacheError);
  const download: Tally = { how: "cache", bytes: 0 };
  const asked = { ...options, tally: download };
  let frame = held ?? (await fromCached(deps, model, asked));
  if (frame === undefined) {
    download.how = "whole";
    frame = await http.getCheckpoint(checkpoint, asked);
  }
  const weights = decodeVersion(layout, checkpoint.modelVersion, frame);
  if (held === undefined) {
    await cache.put(taskId, { layout, checkpoint, frame }).catch(onCacheError);
  }
  return { weights, manifest, download };
}

/**
 * The verified frame by way of the version that the cache has, in one request, which the coordinator may as well
 * answer with the whole; undefined where the cache has none, or anything is wrong with what came.
 */
async function fromCached(
  { http, cache, onCacheError }: ModelFetchDeps,
  { taskId, checkpoint }: WantedModel,
  { signal, tally }: PatchOptions,
): Promise<Uint8Array | undefined> {
  const { digest, bytes } = checkpoint;
  if (bytes < MIN_DELTA_FRAME_BYTES) return undefined;
  const base = await cache.get(taskId).catch(onCacheError);
  if (base?.frame.length !== bytes) return undefined;
  try {
    const { fetchPatched } = await import("./patched-checkpoint.ts");
    const url = routes.checkpointFrom.path({ digest, base: base.checkpoint.digest });
    return await fetchPatched(http, { ...checkpoint, url }, base.frame, { signal, tally });
  } catch {
    // Whatever it is, the whole is asked for next, and what keeps that from coming is told.
    throwIfAborted(signal);
    return undefined;
  }
}

/** @throws FederatedError CHECKPOINT_CORRUPT, UPDATE_LAYOUT_MISMATCH, MALFORMED_MESSAGE */
export function decodeVersion(
  layout: Layout,
  modelVersion: number,
  frame: Uint8Array,
): Float32Array {
  const decoded = decodeCheckpoint(layout, frame);
  if (decoded.modelVersion === modelVersion) return decoded.weights;
  throw new FederatedError(
    "CHECKPOINT_CORRUPT",
    `the frame of model version ${modelVersion} calls itself version ${decoded.modelVersion}`,
  );
}

/**
 * The layout that a description really has: offsets, sizes and digest are computed, not believed.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH when the description contradicts itself
 */
export async function checkLayout(described: Layout): Promise<Layout> {
  const layout = await createLayout(described.tensors);
  if (layout.digest === described.digest) return layout;
  throw new FederatedError(
    "UPDATE_LAYOUT_MISMATCH",
    `the task's tensors have layout digest ${layout.digest}, the task says ${described.digest}`,
  );
}
