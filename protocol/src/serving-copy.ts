/**
 * Copies of a checkpoint for serving, in fewer bits: made of the exact one, the same bytes for the same weights. All
 * little-endian; P parameters.
 *
 *     offset  bytes  copy
 *     0       4      "TRSC"
 *     4       1      format version, 1
 *     5       1      encoding: 2 bfloat16, 3 int8
 *     6       2      reserved, 0
 *     8       4      u32 P
 *     12      4      u32 model version
 *     16      32     layout digest, SHA-256
 *     48      4      reserved, 0
 *     52      4      u32 bytes of what follows the header
 *     56      8      reserved, 0
 *     64      …      bfloat16: P u16, the upper half of a float32, rounded to nearest, ties to even
 *                    int8: ceil(P / 1 024) float32 scales, P i8 q; a weight is float32(scale * q), and q the nearest
 *                    whole number, ties up
 *
 * Zeros pad it to a multiple of 4 bytes. Training never begins from a copy.
 */

import { FederatedError } from "./errors.ts";
import type { Digest } from "./ids.ts";
import type { Layout } from "./layout.ts";
import type { Piecewise } from "./piecewise.ts";

/** How a copy for serving is encoded. */
export type ServingEncoding = "bfloat16" | "int8";
export const SERVING_ENCODINGS: readonly ServingEncoding[] = ["bfloat16", "int8"];

/** SHA-256 and size of a copy. */
export interface ServingCopy {
  readonly digest: Digest;
  readonly bytes: number;
}

/** The copies of one version, by encoding. */
export type ServingCopies = { readonly [E in ServingEncoding]?: ServingCopy };

const MAGIC = 0x43535254; // "TRSC"
const VERSION = 1;
const HEADER_BYTES = 64;
const ENCODING_BYTE = { bfloat16: 2, int8: 3 } as const;
/** Weights that share a scale. */
const BLOCK = 1024;
const LEVELS = 127;

/** Is this a copy for serving, and not the checkpoint itself? */
export const isServingCopy = (bytes: Uint8Array): boolean =>
  bytes.length >= HEADER_BYTES && viewOf(bytes).getUint32(0, true) === MAGIC;

/** Bytes of a copy. */
export function servingCopyBytes(encoding: ServingEncoding, parameterCount: number): number {
  return (
    HEADER_BYTES + scaleBytes(encoding, parameterCount) + paddedBytes(encoding, parameterCount)
  );
}

const scaleBytes = (encoding: ServingEncoding, count: number) =>
  encoding === "int8" ? 4 * Math.ceil(count / BLOCK) : 0;
const paddedBytes = (encoding: ServingEncoding, count: number) =>
  4 * Math.ceil((encoding === "int8" ? count : 2 * count) / 4);

/**
 * The copy of a version, in pieces.
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH; while it runs CHECKPOINT_CORRUPT for weights that are not finite
 */
export function encodeServingCopy(
  layout: Layout,
  { modelVersion, weights }: { readonly modelVersion: number; readonly weights: Float32Array },
  encoding: ServingEncoding,
): Piecewise {
  const { length } = weights;
  if (length !== layout.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the vector has ${length} elements, the layout ${layout.parameterCount}`,
    );
  }
  const bytes = new Uint8Array(servingCopyBytes(encoding, length));
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, ENCODING_BYTE[encoding]);
  view.setUint32(8, length, true);
  view.setUint32(12, modelVersion, true);
  digestBytes(layout).forEach((byte, i) => view.setUint8(16 + i, byte));
  view.setUint32(52, bytes.length - HEADER_BYTES, true);
  const valuesAt = HEADER_BYTES + scaleBytes(encoding, length);
  const halves = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      view.setUint16(valuesAt + 2 * i, toHalf(finite(weights[i] as number, i)), true);
    }
  };
  const quantised = (from: number, to: number) => {
    for (let start = from; start < to; start += BLOCK) {
      const end = Math.min(to, start + BLOCK);
      let largest = 0;
      for (let i = start; i < end; i++) {
        const magnitude = Math.abs(finite(weights[i] as number, i));
        if (magnitude > largest) largest = magnitude;
      }
      const scale = scaleOf(largest);
      view.setFloat32(HEADER_BYTES + (4 * start) / BLOCK, scale, true);
      if (scale === 0) continue;
      for (let i = start; i < end; i++) {
        view.setInt8(valuesAt + i, Math.floor((weights[i] as number) / scale + 0.5));
      }
    }
  };
  return { length, bytes, run: encoding === "int8" ? quantised : halves };
}

export interface DecodedCopy {
  readonly encoding: ServingEncoding;
  readonly modelVersion: number;
  /** Piece by piece; `bytes` are the float32 weights as this machine writes them. */
  readonly weights: Piecewise;
}

/**
 * Opens a copy and checks its form; its digest is for the caller to compare.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_LAYOUT_MISMATCH; while it runs CHECKPOINT_CORRUPT for weights that
 * are not finite
 */
export function decodeServingCopy(layout: Layout, copy: Uint8Array): DecodedCopy {
  if (!isServingCopy(copy)) throw malformed("not a copy of a checkpoint for serving");
  const view = viewOf(copy);
  if (view.getUint8(4) !== VERSION) {
    throw malformed(`copy version ${view.getUint8(4)}, this end reads version ${VERSION}`);
  }
  const encoding = SERVING_ENCODINGS.find((name) => ENCODING_BYTE[name] === view.getUint8(5));
  if (encoding === undefined) throw malformed(`unknown encoding ${view.getUint8(5)} of a copy`);
  if ([6, 48, 56, 60].some((at) => (at === 6 ? view.getUint16(at) : view.getUint32(at)) !== 0)) {
    throw malformed("reserved bytes of the header are not zero");
  }
  const length = view.getUint32(8, true);
  const isOfLayout = digestBytes(layout).every((byte, i) => view.getUint8(16 + i) === byte);
  if (length !== layout.parameterCount || !isOfLayout) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the copy is of ${length} parameters and another layout than the model's, ${layout.parameterCount} with ${layout.digest}`,
    );
  }
  const announced = HEADER_BYTES + view.getUint32(52, true);
  if (copy.length !== announced || announced !== servingCopyBytes(encoding, length)) {
    throw malformed(
      `a copy of ${copy.length} bytes does not hold ${length} weights as ${encoding}`,
    );
  }
  const valuesAt = HEADER_BYTES + scaleBytes(encoding, length);
  const bytes = new Uint8Array(4 * length);
  const words = new Uint32Array(bytes.buffer);
  const weights = new Float32Array(bytes.buffer);
  const halves = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      words[i] = view.getUint16(valuesAt + 2 * i, true) << 16;
      finite(weights[i] as number, i);
    }
  };
  const quantised = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const scale = view.getFloat32(HEADER_BYTES + 4 * Math.floor(i / BLOCK), true);
      weights[i] = scale * view.getInt8(valuesAt + i);
      finite(weights[i] as number, i);
    }
  };
  return {
    encoding,
    modelVersion: view.getUint32(12, true),
    weights: { length, bytes, run: encoding === "int8" ? quantised : halves },
  };
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** Rounded to nearest, ties to even; what would become infinite stays the largest finite number. */
function toHalf(value: number): number {
  float[0] = value;
  const bits = word[0] as number;
  const half = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  return (half & 0x7fff) === 0x7f80 ? half - 1 : half;
}

/** Smallest float32 of which `largest` is at most {@link LEVELS} times; the next below where that would be infinite. */
function scaleOf(largest: number): number {
  const scale = Math.fround(largest / LEVELS);
  const enough = scale * LEVELS >= largest ? scale : neighbour(scale, 1);
  return Number.isFinite(Math.fround(enough * LEVELS)) ? enough : neighbour(enough, -1);
}

/** The float32 next to one that is not negative. */
function neighbour(value: number, step: 1 | -1): number {
  float[0] = value;
  word[0] = (word[0] as number) + step;
  return float[0];
}

const digestBytes = ({ digest }: Layout): number[] =>
  Array.from({ length: 32 }, (_, i) => Number.parseInt(digest.slice(2 * i, 2 * i + 2), 16));
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
/** @throws FederatedError CHECKPOINT_CORRUPT */
function finite(value: number, index: number): number {
  if (Number.isFinite(value)) return value;
  throw new FederatedError("CHECKPOINT_CORRUPT", `weight ${index} of the copy is ${value}`);
}
