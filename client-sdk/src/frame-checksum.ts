/** The checksum of an update's frame, made once for all who ask, with turns of the event loop between. */

import type { Checksum } from "@tributary/protocol";
import { createChecksum } from "@tributary/protocol";

import { createBreather } from "./breather.ts";

/** Less than a millisecond of work, also on a phone. */
const SLICE_BYTES = 2 ** 19;

/** Of frames as they were when they were last looked at; gone with the frame. */
const known = new WeakMap<Uint8Array, Checksum>();

/** Reads all of the frame, which must not change meanwhile. For what comes from a store, and may be damaged. */
export async function checkFrame(frame: Uint8Array): Promise<Checksum> {
  const checksum = createChecksum();
  const breathe = createBreather();
  for (let from = 0; from < frame.length; from += SLICE_BYTES) {
    checksum.update(frame.subarray(from, from + SLICE_BYTES));
    await breathe();
  }
  const digest = checksum.digest();
  known.set(frame, digest);
  return digest;
}

/** Of a frame that nobody has changed since it was made or checked: reads it if nobody has yet. */
export const checksumOfFrame = async (frame: Uint8Array): Promise<Checksum> =>
  known.get(frame) ?? checkFrame(frame);
