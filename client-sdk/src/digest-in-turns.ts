/**
 * SHA-256 of large frames that gives the event loop its turns. WebCrypto works elsewhere, but copies all that it is
 * given first, and 40 MB hold a page up for 70 ms.
 */

import type { Digest } from "@tributary/protocol";
import { digestFromBytes, sha256 } from "@tributary/protocol";

import { createBreather } from "./breather.ts";

/** Copied in a few milliseconds, and hashed several times as fast as here. */
const AT_ONCE_BYTES = 4 * 2 ** 20;
/** About a millisecond of work. */
const SLICE_BYTES = 2 ** 18;

/** SHA-256 of `bytes`, which must not change meanwhile, as 64 hexadecimal digits. */
export async function sha256InTurns(bytes: Uint8Array): Promise<Digest> {
  if (bytes.length <= AT_ONCE_BYTES) return sha256(bytes);
  // Most models are smaller. Without this part the digest holds the page up, and is as right.
  const part = await import("./incremental-sha256.ts").catch(() => undefined);
  if (part === undefined) return sha256(bytes);
  const hash = part.createSha256();
  const breathe = createBreather();
  for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
    hash.update(bytes.subarray(from, from + SLICE_BYTES));
    await breathe();
  }
  return digestFromBytes(hash.digest());
}
