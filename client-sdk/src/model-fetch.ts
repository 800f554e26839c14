/** A checkpoint reference -> its verified frame and weights, from the cache where it has them. */

import type { CheckpointRef, Layout, TaskId } from "@tributary/protocol";
import { createLayout, decodeCheckpoint, FederatedError } from "@tributary/protocol";

import type { ModelCache } from "./cache.ts";
import type { Http } from "./http.ts";

export interface ModelFetchDeps {
  readonly http: Http;
  readonly cache: ModelCache;
  /** Told of faults of the cache, which cost a download and nothing else. */
  readonly onCacheError: (error: unknown) => void;
}

/**
 * The weights of a model version, in memory of their own.
 * @throws FederatedError CHECKPOINT_CORRUPT, UPDATE_LAYOUT_MISMATCH, MODEL_NOT_FOUND, ABORTED, …
 */
export async function fetchWeights(
  { http, cache, onCacheError }: ModelFetchDeps,
  model: { readonly taskId: TaskId; readonly layout: Layout; readonly checkpoint: CheckpointRef },
  options: { readonly signal: AbortSignal; readonly attempts?: number },
): Promise<Float32Array> {
  const { taskId, layout, checkpoint } = model;
  const held = await cache.getFrame(checkpoint.digest).catch(onCacheError);
  const frame = held ?? (await http.getCheckpoint(checkpoint, options));
  const weights = decodeVersion(layout, checkpoint.modelVersion, frame);
  if (held === undefined) {
    await cache.put(taskId, { layout, checkpoint, frame }).catch(onCacheError);
  }
  return weights;
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
