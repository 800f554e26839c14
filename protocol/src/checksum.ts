/**
 * A checksum of 128 bits that takes its bytes piece by piece: it tells damage, and the same bytes from others, at a
 * fraction of what SHA-256 costs. It is not cryptographic: whoever wants two bodies with one checksum can make them.
 * So it stands only where nobody gains by that. What is trusted goes by SHA-256.
 *
 * Words w are little-endian u32, arithmetic is modulo 2^32, and lane j of 32 takes word j of every block:
 *
 *     a_j = (j + 1) 0x85EBCA77, b_j = 0
 *     for each block, the last one padded with zeros:  a_j = rotl13((a_j ^ w_j) 0x9E3779B1),  b_j = b_j + a_j
 *     h_k = k for k in 0…3; for v in a_0…a_31, b_0…b_31, low and high word of the length in bytes:
 *         h_k = rotl_{R_k}((h_k ^ v) M_k)
 *     then each h_k is mixed as MurmurHash3's fmix32 does
 *
 * Each step is a bijection of the lane for a given word and of the word for a given lane, so one changed word always
 * changes a; a change that a later word undoes in a has by then changed b, unless by one chance in 2^32 more.
 */

import type { Checksum } from "./ids.ts";

/** Bytes of a checksum. */
export const CHECKSUM_BYTES = 16;

const LANES = 32;
/** Bytes that are taken in together. */
export const CHECKSUM_BLOCK_BYTES = 4 * LANES;
/** Numbers of a state: a_0…a_31, then b_0…b_31. */
export const CHECKSUM_STATE_WORDS = 2 * LANES;

const SEED = 0x85ebca77;
const MULTIPLIER = 0x9e3779b1;
/** Of the four words of the result: odd, and unlike each other. */
const FINAL_MULTIPLIERS = [0x85ebca6b, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
const FINAL_ROTATIONS = [13, 15, 17, 19] as const;

/**
 * The inner loop: takes in whole blocks, which are the bytes from place `from` to `end`. The coordinator has one in
 * SIMD, with the same result.
 */
export type AbsorbBlocks = (
  state: Uint32Array,
  bytes: Uint8Array,
  from: number,
  end: number,
) => void;

export interface ChecksumState {
  /** The bytes are read before it returns. */
  update(bytes: Uint8Array): void;
  /** Of everything so far. Nothing may be added after it. */
  digest(): Checksum;
}

export function createChecksum(absorb: AbsorbBlocks = absorbPlainly): ChecksumState {
  const state = new Uint32Array(CHECKSUM_STATE_WORDS);
  for (let j = 0; j < LANES; j++) state[j] = Math.imul(j + 1, SEED);
  /** Less than a block that waits for more. */
  const rest = new Uint8Array(CHECKSUM_BLOCK_BYTES);
  let restBytes = 0;
  let length = 0;

  const absorbRest = () => {
    absorb(state, rest, 0, CHECKSUM_BLOCK_BYTES);
    restBytes = 0;
  };
  return {
    update: (bytes) => {
      length += bytes.length;
      let at = 0;
      const wait = () => {
        while (at < bytes.length && restBytes < CHECKSUM_BLOCK_BYTES) {
          rest[restBytes++] = bytes[at++] as number;
        }
      };
      if (restBytes > 0) {
        wait();
        if (restBytes < CHECKSUM_BLOCK_BYTES) return;
        absorbRest();
      }
      const end = bytes.length - ((bytes.length - at) % CHECKSUM_BLOCK_BYTES);
      if (end > at) absorb(state, bytes, at, end);
      at = end;
      wait();
    },
    digest: () => {
      if (restBytes > 0) {
        rest.fill(0, restBytes);
        absorbRest();
      }
      return finish(state, length);
    },
  };
}

/** The checksum of `bytes`. */
export function checksumOf(bytes: Uint8Array): Checksum {
  const checksum = createChecksum();
  checksum.update(bytes);
  return checksum.digest();
}

function finish(state: Uint32Array, length: number): Checksum {
  const words = [...state, length >>> 0, Math.floor(length / 2 ** 32)];
  return FINAL_MULTIPLIERS.map((multiplier, k) => {
    const rotation = FINAL_ROTATIONS[k] as number;
    let hash = k;
    // By place, which is quick long before it is compiled.
    for (let i = 0; i < words.length; i++) {
      const product = Math.imul(hash ^ (words[i] as number), multiplier);
      hash = (product << rotation) | (product >>> (32 - rotation));
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return ((hash ^ (hash >>> 16)) >>> 0).toString(16).padStart(8, "0");
  }).join("") as Checksum;
}

/** For every engine. Short rather than fast: every page loads it. */
const absorbPlainly: AbsorbBlocks = (state, { buffer, byteOffset }, from, end) => {
  const words = new DataView(buffer, byteOffset + from, end - from);
  for (let at = 0; at < end - from; at += 4) {
    const lane = (at >> 2) % LANES;
    const product = Math.imul((state[lane] as number) ^ words.getUint32(at, true), MULTIPLIER);
    const a = (product << 13) | (product >>> 19);
    state[lane] = a;
    state[LANES + lane] = (state[LANES + lane] as number) + a;
  }
};
