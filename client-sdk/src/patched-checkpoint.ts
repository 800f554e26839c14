/** A checkpoint made of a former one and of what they differ in; loaded when a coordinator sends that. */

import { inPieces, isCheckpointDelta, patchCheckpoint } from "@tributary/protocol";

import { createBreather } from "./breather.ts";

/**
 * The frame, not verified, of what a coordinator answered to who has `base`: the frame itself, or a delta.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export async function patched(base: Uint8Array, answer: Uint8Array): Promise<Uint8Array> {
  if (!isCheckpointDelta(answer)) return answer;
  return inPieces(patchCheckpoint(base, answer), createBreather());
}
