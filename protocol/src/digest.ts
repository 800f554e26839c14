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
export const digestFromBytes = (bytes: Uint8Array): Digest => hexOf(bytes) as Digest;

/** 64 hexadecimal digits -> 32 bytes. */
export const digestToBytes = (digest: Digest): Uint8Array => bytesOfHex(digest);

/** Two hexadecimal digits for each byte. */
export function hexOf(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** As many bytes as there are pairs of hexadecimal digits. */
export function bytesOfHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
