/** The body of a large upload, such that sending it does not block a page. */

import { createBreather } from "./breather.ts";

/** 1 MiB: copied in a moment, and most updates are smaller. */
const PIECE_BYTES = 2 ** 20;

/**
 * What to give `fetch` for these bytes: they themselves, or where they are many a Blob of them, put together in
 * pieces with turns of the event loop between. Chromium copies bytes to its network process before `fetch`
 * returns, and blocks the page for longer than all of the sending takes; a Blob it takes without.
 */
export async function uploadBody(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer> | Blob> {
  // Never shared memory: frames are made by the codec, or read from a store.
  const own = bytes as Uint8Array<ArrayBuffer>;
  if (own.length <= PIECE_BYTES) return own;
  const breathe = createBreather();
  const pieces: Blob[] = [];
  for (let from = 0; from < own.length; from += PIECE_BYTES) {
    pieces.push(new Blob([own.subarray(from, from + PIECE_BYTES)]));
    await breathe();
  }
  return new Blob(pieces);
}
