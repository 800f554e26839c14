/**
 * What one checkpoint frame differs from another in, without loss. Frames are taken as words of 32 bits: of float32
 * values that are close to one another the words are, too, so that the high bytes of their differences are nearly
 * all zero. Bytes of one rank stand together (a plane), which is what gzip needs to see that. All little-endian.
 *
 *     offset  bytes  delta
 *     0       4      "TRCD"
 *     4       1      format version, 1
 *     5       3      reserved, 0
 *     8       4      u32 bytes of either frame, a multiple of 4
 *     12      4      reserved, 0
 *     16      n      planes: byte 3 (the highest) of every difference, then byte 2, 1, 0
 *
 * A difference is target - base modulo 2^32, as a signed number d, written as 2 d for d >= 0 and -2 d - 1 for d < 0.
 * Which two it is between stands in its address only. Nobody need believe it: whoever applies it compares the digest
 * of what comes out.
 */

import { FederatedError } from "./errors.ts";
import type { Piecewise } from "./piecewise.ts";
import { DELTA_HEADER_BYTES } from "./routes.ts";

export const DELTA_VERSION = 1;

const MAGIC = 0x44435254; // "TRCD"

/** Is this a delta, and not a frame? */
export function isCheckpointDelta(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC;
}

/**
 * What makes `target` of `base`.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH for frames of different lengths, or whose length is no multiple of 4
 */
export function diffCheckpoints(base: Uint8Array, target: Uint8Array): Piecewise {
  if (base.length !== target.length || target.length % 4 !== 0) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `there is no delta between frames of ${base.length} and ${target.length} bytes`,
    );
  }
  const words = target.length / 4;
  const bytes = new Uint8Array(DELTA_HEADER_BYTES + target.length);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, DELTA_VERSION);
  view.setUint32(8, target.length, true);
  const [third, second, first, lowest] = planesOf(bytes, words);
  const [from, to] = [viewOf(base), viewOf(target)];
  return {
    length: words,
    bytes,
    run: (start, end) => {
      for (let i = start; i < end; i++) {
        const difference = (to.getInt32(4 * i, true) - from.getInt32(4 * i, true)) | 0;
        const folded = (difference << 1) ^ (difference >> 31);
        third[i] = folded >>> 24;
        second[i] = folded >>> 16;
        first[i] = folded >>> 8;
        lowest[i] = folded;
      }
    },
  };
}

/**
 * What `delta` makes of `base`. Its digest is for the caller to compare with the one that was asked for.
 * @throws FederatedError MALFORMED_MESSAGE when it is no delta of frames of this length, or not whole
 */
export function patchCheckpoint(base: Uint8Array, delta: Uint8Array): Piecewise {
  if (delta.length !== DELTA_HEADER_BYTES + base.length || base.length % 4 !== 0) {
    throw malformed(
      `a delta of ${delta.length} bytes does not fit a checkpoint of ${base.length} bytes`,
    );
  }
  const view = viewOf(delta);
  if (view.getUint32(0, true) !== MAGIC) throw malformed("not a checkpoint delta");
  if (view.getUint8(4) !== DELTA_VERSION) {
    throw malformed(`delta version ${view.getUint8(4)}, this end reads version ${DELTA_VERSION}`);
  }
  if (((view.getUint32(4, true) >>> 8) | view.getUint32(12, true)) !== 0) {
    throw malformed("reserved bytes of the delta are not zero");
  }
  if (view.getUint32(8, true) !== base.length) {
    throw malformed(`the delta is of ${view.getUint32(8, true)} bytes, the frame ${base.length}`);
  }
  const words = base.length / 4;
  const bytes = new Uint8Array(base.length);
  const [third, second, first, lowest] = planesOf(delta, words);
  const [before, after] = [viewOf(base), viewOf(bytes)];
  return {
    length: words,
    bytes,
    run: (start, end) => {
      for (let i = start; i < end; i++) {
        const folded =
          ((third[i] as number) << 24) |
          ((second[i] as number) << 16) |
          ((first[i] as number) << 8) |
          (lowest[i] as number);
        const difference = (folded >>> 1) ^ -(folded & 1);
        after.setInt32(4 * i, (before.getInt32(4 * i, true) + difference) | 0, true);
      }
    },
  };
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function planesOf(bytes: Uint8Array, words: number) {
  const plane = (rank: number) =>
    bytes.subarray(DELTA_HEADER_BYTES + rank * words, DELTA_HEADER_BYTES + (rank + 1) * words);
  return [plane(0), plane(1), plane(2), plane(3)] as const;
}

const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
