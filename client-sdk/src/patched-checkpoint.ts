/** A checkpoint made of a former one and of what they differ in; loaded where the cache has a former one. */

import type { CheckpointRef } from "@tributary/protocol";
import { inPieces, isCheckpointDelta, patchCheckpoint, routes } from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import type { CachedModel } from "./cache.ts";
import type { Http } from "./http.ts";
import type { PatchOptions } from "./model-fetch.ts";

/**
 * The verified frame, in one request to who is told which version is here.
 * @throws FederatedError MALFORMED_MESSAGE, CHECKPOINT_CORRUPT, and what fetching throws
 */
export function fetchPatched(
  http: Http,
  checkpoint: CheckpointRef,
  base: CachedModel,
  { signal, tally }: PatchOptions,
): Promise<Uint8Array> {
  const { digest } = checkpoint;
  const url = routes.checkpointFrom.path({ digest, base: base.checkpoint.digest });
  const unpack = async (answer: Uint8Array) => {
    const frame = await patched(base.frame, answer);
    tally.how = frame === answer ? "whole" : "delta";
    return frame;
  };
  return http.getCheckpoint({ ...checkpoint, url }, { signal, attempts: 1, unpack, tally });
}

/**
 * The frame, not verified, of what a coordinator answered to who has `base`: the frame itself, or a delta.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export async function patched(base: Uint8Array, answer: Uint8Array): Promise<Uint8Array> {
  if (!isCheckpointDelta(answer)) return answer;
  return inPieces(patchCheckpoint(base, answer), createBreather());
}
