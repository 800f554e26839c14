/** A checkpoint made of the one that the cache has and of what they differ in; loaded where there is such a one. */

import type { CheckpointRef } from "@tributary/protocol";
import {
  DELTA_HEADER_BYTES,
  isCheckpointDelta,
  patchCheckpoint,
  routes,
} from "@tributary/protocol";

import { createBreather } from "./breather.ts";
import type { CachedModel } from "./cache.ts";
import type { Http } from "./http.ts";
import { verifyFrame } from "./http.ts";

/** About a millisecond of work. */
const SLICE_WORDS = 2 ** 17;

/**
 * The frame, verified against its digest, in one request; the coordinator may as well answer with the whole.
 * @throws FederatedError for whatever stands against it: the caller fetches the whole then
 */
export async function fetchPatched(
  http: Pick<Http, "get">,
  base: CachedModel,
  target: Omit<CheckpointRef, "signed">,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const ends = { base: base.checkpoint.digest, target: target.digest };
  const path = routes.checkpointFrom.path({ digest: ends.target, base: ends.base });
  const answer = await http.get(path, DELTA_HEADER_BYTES + target.bytes, signal);
  const frame = isCheckpointDelta(answer) ? await patched() : answer;
  await verifyFrame(frame, target);
  return frame;

  async function patched(): Promise<Uint8Array> {
    const breathe = createBreather();
    const work = patchCheckpoint(base.frame, answer, ends);
    for (let at = 0; at < work.words; at += SLICE_WORDS) {
      work.run(at, Math.min(work.words, at + SLICE_WORDS));
      await breathe();
    }
    return work.bytes;
  }
}
