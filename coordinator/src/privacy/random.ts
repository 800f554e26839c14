/** Randomness that nobody can predict or repeat: the generator of the system's crypto library, and nothing of ours. */

import { randomFillSync } from "node:crypto";

export interface SecureRandom {
  /** `count` fresh random bytes. */
  bytes(count: number): Uint8Array;
  /** Fresh random bytes straight into memory of the caller's, who wipes them: the fast way to many. */
  fill(target: Uint8Array): void;
}

/** Bytes that are drawn at once, since a call costs more than so few bytes do. */
const CHUNK_BYTES = 65_536;

/**
 * OpenSSL's generator: AES-256 in counter mode (NIST SP 800-90A, CTR_DRBG), which takes a new key after each call, so
 * that nothing it gave can be computed from what is in memory later, and a new seed from the system after 2^16 calls,
 * an hour or a fork. There is no seed of ours: two instances, also in two processes, never give the same bytes.
 */
export function createSecureRandom(): SecureRandom {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let used = chunk.length;
  return {
    bytes: (count) => {
      const out = new Uint8Array(count);
      for (let filled = 0; filled < count;) {
        if (used === chunk.length) {
          randomFillSync(chunk);
          used = 0;
        }
        const part = chunk.subarray(used, used + count - filled);
        out.set(part, filled);
        // What was given out is not kept.
        part.fill(0);
        used += part.length;
        filled += part.length;
      }
      return out;
    },
    fill: (target) => void randomFillSync(target),
  };
}

/** Uniform numbers in [0, 1) with 53 random bits each. */
export function uniformFrom(random: Pick<SecureRandom, "bytes">): { next(): number } {
  return {
    next: () => {
      const bytes = random.bytes(8);
      const bits = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return (bits.getUint32(0) * 2 ** 21 + (bits.getUint32(4) >>> 11)) / 2 ** 53;
    },
  };
}
