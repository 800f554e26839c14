/**
 * The formats of a payload and their sizes. Little-endian; every section is padded with zeros to a multiple of 4
 * bytes. P parameters; "values" of a sparse format are k numbers, written as the dense format of that name.
 *
 *     float32   P float32
 *     bfloat16  P u16: the upper half of a float32, rounded to nearest, ties to even
 *     int8      ceil(P / 1 024) float32 scales, P i8 q; the number is scale * q
 *     int4      ceil(P / 1 024) float32 scales, ceil(P / 2) bytes, low nibble first; q = nibble - 8, the nibble 1 to
 *               15; where P is odd the last high nibble is 8
 *     topK      u32 k, u32 bytes of the gaps, gaps, values. A gap is index - previous - 1 (the first: the index),
 *               LEB128 in as few bytes as it takes
 *     randomK   u32 k, u32 seed, values. The index of value j is floor(j P / k) + hash32(seed, j) mod (size of the
 *               stratum), where stratum j goes from floor(j P / k) to floor((j + 1) P / k)
 *
 * Scales are from 0 to {@link MAX_SCALE}.
 */

import type { Encoding, ValueEncoding } from "../plan.ts";

/** What a frame tells of its encoding: all but the share that is sent, which shows in the payload. */
export type PayloadFormat =
  | { readonly kind: ValueEncoding }
  | { readonly kind: "topK" | "randomK"; readonly values: ValueEncoding };

/** Values that share a scale. */
export const BLOCK_VALUES = 1024;
/** No scale is above it, so that every number that is meant fits float32. */
export const MAX_SCALE = 2 ** 120;
/** Before the sections of a sparse payload: k, and the bytes of the gaps or the seed. */
export const SPARSE_HEADER_BYTES = 8;

const VALUE_ENCODINGS: readonly ValueEncoding[] = ["float32", "bfloat16", "int8", "int4"];
/** Number on the wire, from 1 -> name. */
const KINDS: readonly Encoding["kind"][] = [...VALUE_ENCODINGS, "topK", "randomK"];

/** The two bytes of a frame's header that name a format. */
export const formatBytes = (format: PayloadFormat): readonly [kind: number, values: number] => [
  1 + KINDS.indexOf(format.kind),
  "values" in format ? 1 + KINDS.indexOf(format.values) : 0,
];

/** The format that two bytes of a header name; undefined for none. */
export function formatOfBytes(kind: number, values: number): PayloadFormat | undefined {
  const name = KINDS[kind - 1];
  const valueName = VALUE_ENCODINGS[values - 1];
  if (name === "topK" || name === "randomK") {
    return valueName === undefined ? undefined : { kind: name, values: valueName };
  }
  return name === undefined || values !== 0 ? undefined : { kind: name };
}

/** A format for people: `int8`, `topK of int8`. */
export const formatName = (format: PayloadFormat): string =>
  "values" in format ? `${format.kind} of ${format.values}` : format.kind;

export const isSameFormat = (a: PayloadFormat, b: PayloadFormat): boolean =>
  formatName(a) === formatName(b);

/** Bytes up to the next multiple of 4. */
export const padded = (bytes: number): number => 4 * Math.ceil(bytes / 4);

/** Bytes of the scales before quantised values; 0 where there are none. */
export const scaleBytes = (encoding: ValueEncoding, count: number): number =>
  encoding === "int8" || encoding === "int4" ? 4 * Math.ceil(count / BLOCK_VALUES) : 0;

/** Bytes of `count` values, with their scales and padding. */
export function valuesBytes(encoding: ValueEncoding, count: number): number {
  switch (encoding) {
    case "float32":
      return 4 * count;
    case "bfloat16":
      return padded(2 * count);
    case "int8":
      return scaleBytes(encoding, count) + padded(count);
    case "int4":
      return scaleBytes(encoding, count) + padded(Math.ceil(count / 2));
  }
}

/** k: of so many parameters, the share that is sent; one at least. */
export const keptValues = (fraction: number, parameterCount: number): number =>
  Math.min(parameterCount, Math.max(1, Math.round(fraction * parameterCount)));

/** Most bytes that the gaps of `count` ascending indices can take. */
function mostGapBytes(count: number, parameterCount: number): number {
  let bytes = count;
  // A gap of 2^7n or more takes a byte more, and so many do not fit.
  for (let long = 2 ** 7; long <= parameterCount; long *= 2 ** 7) {
    bytes += Math.min(count, Math.floor(parameterCount / long));
  }
  return padded(bytes);
}

/** Most bytes of a payload of `kept` values; the bytes of every payload but for "topK". */
function mostBytes(format: PayloadFormat, parameterCount: number, kept: number): number {
  if (!("values" in format)) return valuesBytes(format.kind, parameterCount);
  const gaps = format.kind === "topK" ? mostGapBytes(kept, parameterCount) : 0;
  return SPARSE_HEADER_BYTES + gaps + valuesBytes(format.values, kept);
}

/** Most bytes that a payload of this encoding takes; exact but for the gaps of "topK". */
export const maxPayloadBytes = (encoding: Encoding, parameterCount: number): number =>
  mostBytes(
    encoding,
    parameterCount,
    "fraction" in encoding ? keptValues(encoding.fraction, parameterCount) : parameterCount,
  );

/** Could so many bytes be a payload? Exact for dense formats; of sparse ones whatever share is sent. */
export function isPossibleSize(
  format: PayloadFormat,
  parameterCount: number,
  bytes: number,
): boolean {
  const most = mostBytes(format, parameterCount, parameterCount);
  if (!("values" in format)) return bytes === most;
  return bytes % 4 === 0 && bytes > SPARSE_HEADER_BYTES && bytes <= most;
}
