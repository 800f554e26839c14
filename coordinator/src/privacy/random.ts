/** Randomness that nobody can predict or repeat: AES-256-CTR under a key from the system's generator. */

import { createCipheriv, randomBytes } from "node:crypto";

export interface SecureRandom {
  /** `count` fresh random bytes. */
  bytes(count: number): Uint8Array;
}

/** A new key for so many bytes, far below where a CTR stream could be told from random. */
const REKEY_BYTES = 2 ** 32;
const CHUNK_BYTES = 65_536;

/** There is no seed: two instances, also in two processes, never give the same bytes. */
export function createSecureRandom(): SecureRandom {
  const zeros = new Uint8Array(CHUNK_BYTES);
  let cipher = newCipher();
  let sinceKey = 0;
  let chunk: Uint8Array = new Uint8Array(0);
  let used = 0;
  const refill = () => {
    if (sinceKey >= REKEY_BYTES) {
      cipher = newCipher();
      sinceKey = 0;
    }
    chunk = cipher.update(zeros);
    sinceKey += CHUNK_BYTES;
    used = 0;
  };
  return {
    bytes: (count) => {
      const out = new Uint8Array(count);
      for (let filled = 0; filled < count;) {
        if (used === chunk.length) refill();
        const part = chunk.subarray(used, used + count - filled);
        out.set(part, filled);
        // What was given out is not kept.
        part.fill(0);
        used += part.length;
        filled += part.length;
      }
      return out;
    },
  };
}

const newCipher = () => createCipheriv("aes-256-ctr", randomBytes(32), randomBytes(16));

/** Uniform numbers in [0, 1) with 53 random bits each. */
export function uniformFrom(random: SecureRandom): { next(): number } {
  return {
    next: () => {
      const bytes = random.bytes(8);
      const bits = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return (bits.getUint32(0) * 2 ** 21 + (bits.getUint32(4) >>> 11)) / 2 ** 53;
    },
  };
}
