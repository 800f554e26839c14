/** A checkpoint made of a former one and of what they differ in; loaded when a coordinator sends that. */

import { isCheckpointDelta, patchCheckpoint } from "@tributary/protocol";

import { createBreather } from "./breather.ts";

/** About a millisecond of work. */
const SLICE_WORDS = 2 ** 17;

/**
 * The frame, not verified, of what a coordinator answered to who has `base`: the frame itself, or a delta.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export async function patched(base: Uint8Array, answer: Uint8Array): Promise<Uint8Array> {
  if (!isCheckpointDelta(answer)) return answer;
  const breathe = createBreather();
  const work = patchCheckpoint(base, answer);
  for (let at = 0; at < work.words; at += SLICE_WORDS) {
    work.run(at, Math.min(work.words, at + SLICE_WORDS));
    await breathe();
  }
  return work.bytes;
}
