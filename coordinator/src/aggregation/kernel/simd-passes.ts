/** One pass each over payloads that lie in a kernel's memory: their norms, and their part in its sum. */

import type { ValueEncoding } from "@tributary/protocol";
import {
  BLOCK_VALUES,
  MAX_SCALE,
  payloadSections,
  readPayload,
  scaleBytes,
  SPARSE_HEADER_BYTES,
} from "@tributary/protocol";

import type { EncodedDelta } from "../encoded-delta.ts";
import { isFloat, LANES, normOfLanes } from "./delta-sum.ts";
import type { Kernel } from "./engine.ts";

/** Where the sum begins; below it are lanes, the table of the deltas of a pass, and the indices and terms of a tile of a sparse delta. */
export const SUM_AT = 65_536;
const TABLE_AT = 128;
const INDICES_AT = 1_024;
const TERMS_AT = 32_768;
/** Deltas that the table has room for. */
export const MOST_IN_A_PASS = 56;
/** Values of a sparse delta that are added at a time: a multiple of a block. */
const TILE = 4_096;
/** Values of a piece that is measured in scratch memory: whole blocks, at most 256 KB. */
const PIECE = 65_536;
/** A kernel of so many bytes has room for a piece, and for most sparse payloads. */
export const SCRATCH_BYTES = SUM_AT + 524_288;

export type DenseEncoding = ValueEncoding;

/** A payload in the kernel's memory, and how much it counts. */
export interface Weighted {
  /** Its first byte. */
  readonly at: number;
  readonly factor: number;
}

const NAMES = {
  float32: "Float32",
  bfloat16: "Bfloat16",
  int8: "Int8",
  int4: "Int4",
} as const satisfies Record<ValueEncoding, string>;

const BYTES_EACH = { float32: 4, bfloat16: 2, int8: 1, int4: 0.5 } as const;

/**
 * As `plainNorm`, of a payload at `at`.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function normAt(kernel: Kernel, delta: EncodedDelta, at: number): number {
  const { encoding, parameterCount, payload } = delta;
  const { count, valuesAt } = payloadSections(encoding, parameterCount, payload);
  return soundNorm(kernel, delta, at, (values) =>
    squareValues(kernel, values, at + valuesAt, count),
  );
}

/**
 * As `plainNorm`, of a payload anywhere: it goes through the kernel's scratch memory, from {@link SUM_AT} on, in pieces.
 * @returns undefined for a sparse payload that is larger than the scratch memory
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function normThrough(kernel: Kernel, delta: EncodedDelta): number | undefined {
  const { encoding, parameterCount, payload } = delta;
  const scratch = new Uint8Array(kernel.memory, SUM_AT);
  if (payload.length <= scratch.length) {
    scratch.set(payload);
    return normAt(kernel, delta, SUM_AT);
  }
  if ("values" in encoding) return undefined;
  payloadSections(encoding, parameterCount, payload);
  return soundNorm(kernel, delta, SUM_AT, (values) => {
    let areSound = true;
    const numbersAt = scaleBytes(values, parameterCount);
    const bytesEach = BYTES_EACH[values];
    for (let first = 0; first < parameterCount; first += PIECE) {
      const size = Math.min(PIECE, parameterCount - first);
      const scales = (4 * first) / BLOCK_VALUES;
      const numbers = numbersAt + first * bytesEach;
      const scalesEnd = scales + scaleBytes(values, size);
      scratch.set(payload.subarray(scales, scalesEnd));
      const piece = payload.subarray(numbers, numbers + Math.ceil(size * bytesEach));
      scratch.set(piece, scalesEnd - scales);
      areSound = squareValues(kernel, values, SUM_AT, size) && areSound;
    }
    return areSound;
  });
}

function soundNorm(
  kernel: Kernel,
  delta: EncodedDelta,
  at: number,
  square: (values: ValueEncoding) => boolean,
): number {
  const { encoding } = delta;
  const values = "values" in encoding ? encoding.values : encoding.kind;
  const lanes = new Float64Array(kernel.memory, 0, LANES).fill(0);
  const isSound = square(values);
  const norm = normOfLanes(lanes);
  // In the order of the reference, which says first what it meets first.
  if (encoding.kind === "topK" && !gapsAreSound(kernel, delta, at)) refuse(delta);
  if (isFloat(values) && !Number.isFinite(norm)) return norm;
  if (!isSound || !isPadded(delta)) refuse(delta);
  return norm;
}

/** Squares of all values to the lanes; false where one of them may not be. */
function squareValues(
  { run, memory }: Kernel,
  values: ValueEncoding,
  at: number,
  count: number,
): boolean {
  if (isFloat(values)) {
    run[`square${NAMES[values]}`](at, count);
    return true;
  }
  const scales = new Float32Array(memory, at, Math.ceil(count / BLOCK_VALUES));
  const most = MAX_SCALE;
  let areProper = true;
  for (let i = 0; i < scales.length; i++) {
    const scale = scales[i] as number;
    areProper &&= scale >= 0 && scale <= most;
  }
  const numbersAt = at + scaleBytes(values, count);
  return run[`square${NAMES[values]}`](at, numbersAt, count) === 1 && areProper;
}

/** Is nothing but zeros after the last number, and a zero in the last nibble that is none? */
function isPadded({ encoding, parameterCount, payload }: EncodedDelta): boolean {
  const { count, valuesAt } = payloadSections(encoding, parameterCount, payload);
  const values = "values" in encoding ? encoding.values : encoding.kind;
  const end = valuesAt + scaleBytes(values, count) + Math.ceil(count * BYTES_EACH[values]);
  const isOdd = values === "int4" && count % 2 === 1;
  return areZeros(payload.subarray(end)) && !(isOdd && (payload[end - 1] as number) >> 4 !== 8);
}

const areZeros = (padding: Uint8Array): boolean => padding.every((byte) => byte === 0);

/** Says what is wrong with a payload, as the reference does. @throws FederatedError MALFORMED_MESSAGE */
function refuse({ encoding, parameterCount, payload }: EncodedDelta): never {
  readPayload(encoding, parameterCount, payload, () => undefined);
  throw new Error("the kernel refuses a payload that its reference takes");
}

// ------------------------------------------------------------------------------- dense

/** Of a section of `count` values those from `first` on, which is the first of a block. */
export interface Stretch {
  readonly encoding: DenseEncoding;
  readonly count: number;
  readonly first: number;
  readonly size: number;
}

/** Where a stretch begins, in bytes from that of the payload: of its scales, and of its numbers. */
function placesOf({ encoding, count, first }: Stretch) {
  const bytesEach = BYTES_EACH[encoding];
  return {
    scales: isFloat(encoding) ? 0 : (4 * first) / BLOCK_VALUES,
    numbers: scaleBytes(encoding, count) + first * bytesEach,
  };
}

/** sum = (sum + factor * delta of a stretch for each of them) / denominator, with the bits of one after the other. */
export function divideSum(
  kernel: Kernel,
  stretch: Stretch,
  deltas: readonly Weighted[],
  { whole, denominator }: { readonly whole: boolean; readonly denominator: number },
): void {
  const { run } = kernel;
  const { encoding, first, size } = stretch;
  const at = SUM_AT + 8 * first;
  if (encoding === "float32" && !whole) {
    fillTable(kernel, deltas);
    run.meanFloat32(at, size, placesOf(stretch).numbers, deltas.length, denominator);
  } else {
    addDense(kernel, stretch, deltas, whole);
    run.divide(at, size, denominator);
  }
}

/** sum += factor * delta of a stretch for each of them, one after the other, in one pass over the sum. */
export function addDense(
  kernel: Kernel,
  stretch: Stretch,
  deltas: readonly Weighted[],
  whole: boolean,
): void {
  addValues(kernel, SUM_AT + 8 * stretch.first, stretch, deltas, whole);
}

function fillTable({ memory }: Kernel, deltas: readonly Weighted[]): void {
  const table = new DataView(memory, TABLE_AT, 16 * MOST_IN_A_PASS);
  for (const [i, { at, factor }] of deltas.entries()) {
    table.setUint32(16 * i, at, true);
    table.setFloat64(16 * i + 8, factor, true);
  }
}

function addValues(
  kernel: Kernel,
  to: number,
  stretch: Stretch,
  deltas: readonly Weighted[],
  whole: boolean,
): void {
  const { encoding, size } = stretch;
  fillTable(kernel, deltas);
  const { scales, numbers } = placesOf(stretch);
  kernel.run[`add${NAMES[encoding]}${whole ? "Whole" : ""}`](
    to,
    size,
    scales,
    numbers,
    deltas.length,
  );
}

// ------------------------------------------------------------------------------ sparse

/**
 * sum += factor * delta for one at `at`.
 * @throws FederatedError MALFORMED_MESSAGE with the sum as it was
 */
export function addSparse(
  kernel: Kernel,
  delta: EncodedDelta,
  { at, factor, whole }: Weighted & { readonly whole: boolean },
): void {
  const { encoding, parameterCount, payload } = delta;
  const { run, memory } = kernel;
  if (!("values" in encoding)) throw new RangeError(`${encoding.kind} is not sparse`);
  const { count, seed, valuesAt } = payloadSections(encoding, parameterCount, payload);
  if (encoding.kind === "topK" && !gapsAreSound(kernel, delta, at)) refuse(delta);
  const nextGaps = gapReader(kernel, delta, at);
  const terms = new Float64Array(memory, TERMS_AT, TILE);
  for (let first = 0; first < count; first += TILE) {
    const size = Math.min(TILE, count - first);
    if (encoding.kind === "topK") nextGaps(size);
    else run.drawIndices(seed, first, size, count, parameterCount, INDICES_AT);
    const section = { encoding: encoding.values, count, first, size };
    terms.fill(0, 0, size);
    addValues(kernel, TERMS_AT, section, [{ at: at + valuesAt, factor }], whole);
    run.scatter(SUM_AT, INDICES_AT, TERMS_AT, size);
  }
}

function gapsAreSound(kernel: Kernel, delta: EncodedDelta, at: number): boolean {
  const { encoding, parameterCount, payload } = delta;
  const { count, gapBytes, valuesAt } = payloadSections(encoding, parameterCount, payload);
  const gapsEnd = SPARSE_HEADER_BYTES + gapBytes;
  const nextGaps = gapReader(kernel, delta, at);
  let end: number | undefined = 0;
  for (let first = 0; first < count && end !== undefined; first += TILE) {
    end = nextGaps(Math.min(TILE, count - first));
  }
  return end === at + gapsEnd && areZeros(payload.subarray(gapsEnd, valuesAt));
}

/** Reads so many gaps more, as indices in the memory; @returns where they end, undefined where they are none. */
function gapReader(
  { run, memory }: Kernel,
  { encoding, parameterCount, payload }: EncodedDelta,
  at: number,
): (size: number) => number | undefined {
  const { gapBytes } = payloadSections(encoding, parameterCount, payload);
  const indices = new Uint32Array(memory, INDICES_AT, TILE);
  const end = at + SPARSE_HEADER_BYTES + gapBytes;
  let place = at + SPARSE_HEADER_BYTES;
  let previous = -1;
  return (size) => {
    // Unsigned: places are up to 2^32.
    place = run.readGaps(place, end, previous, size, parameterCount, INDICES_AT) >>> 0;
    previous = indices[size - 1] as number;
    return place === 0 ? undefined : place;
  };
}
