/**
 * A checkpoint made of a former one and of what they differ in; loaded where the cache has a former one. It
 * imports nothing of what loads it, as bundlers would then keep that in apps that never connect.
 */

import type { CheckpointRef } from "@tributary/protocol";
import { inPieces, isCheckpointDelta, patchCheckpoint } from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import type { Http } from "./http.ts";
import type { PatchOptions } from "./model-fetch.ts";

/**
 * The verified frame, in one request to `checkpoint.url`, which answers to who has `base`.
 * @throws FederatedError MALFORMED_MESSAGE, CHECKPOINT_CORRUPT, and what fetching throws
 */
export function fetchPatched(
  http: Http,
  checkpoint: CheckpointRef,
  base: Uint8Array,
  { signal, tally }: PatchOptions,
): Promise<Uint8Array> {
  const unpack = async (answer: Uint8Array) => {
    const frame = await patched(base, answer);
    tally.how = frame === answer ? "whole" : "delta";
    return frame;
  };
  return http.getCheckpoint(checkpoint, { signal, attempts: 1, unpack, tally });
}

/**
 * The frame, not verified, of what a coordinator answered to who has `base`: the frame itself, or a delta.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export async function patched(base: Uint8Array, answer: Uint8Array): Promise<Uint8Array> {
  if (!isCheckpointDelta(answer)) return answer;
  return inPieces(patchCheckpoint(base, answer), createBreather());
}
