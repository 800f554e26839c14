/** SHA-256 (FIPS 180-4) through WebCrypto, which Node and browsers both have. */

import type { Digest } from "./ids.ts";

/** Bytes of a digest in a frame. */
export const DIGEST_BYTES = 32;

/** SHA-256 of `bytes` as 64 hexadecimal digits. */
export async function sha256(bytes: Uint8Array): Promise<Digest> {
  const hash = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return digestFromBytes(new Uint8Array(hash));
}

/** 32 bytes -> 64 hexadecimal digits. */
export function digestFromBytes(bytes: Uint8Array): Digest {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex as Digest;
}

/** 64 hexadecimal digits -> 32 bytes. */
export function digestToBytes(digest: Digest): Uint8Array {
  const bytes = new Uint8Array(DIGEST_BYTES);
  for (let i = 0; i < DIGEST_BYTES; i++) {
    bytes[i] = Number.parseInt(digest.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
