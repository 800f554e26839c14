/** Dense sections: numbers in one of the four value encodings, at a place in a payload. */

import { FederatedError } from "../errors.ts";
import type { ValueEncoding } from "../plan.ts";
import { BLOCK_VALUES, MAX_SCALE, scaleBytes, valuesBytes } from "./format.ts";
import type { RandomBits } from "./rounding.ts";
import { notFinite, roundByChance, upperHalf } from "./rounding.ts";

/** Values between two turns of whoever writes or reads: about half a millisecond. A multiple of a block. */
export const SLICE_VALUES = 65_536;

const LEVELS = { int8: 127, int4: 7 } as const;

/** Writes all of `values` from `at`, in slices. @throws FederatedError UPDATE_NOT_FINITE */
export function* writeValues(
  encoding: ValueEncoding,
  values: Float32Array,
  target: DataView,
  at: number,
  random: RandomBits,
): Generator<undefined, void> {
  const bits = new Uint16Array(Math.min(SLICE_VALUES, values.length));
  for (let start = 0; start < values.length; start += SLICE_VALUES) {
    const slice = values.subarray(start, start + SLICE_VALUES);
    if (encoding === "float32") writeFloats(slice, target, at + 4 * start);
    else if (encoding === "bfloat16") writeHalves(slice, target, at + 2 * start);
    else {
      random(bits);
      const numbersAt = at + scaleBytes(encoding, values.length);
      const scalesAt = at + (4 * start) / BLOCK_VALUES;
      if (encoding === "int8") writeInt8(slice, bits, target, [scalesAt, numbersAt + start]);
      else writeInt4(slice, bits, target, [scalesAt, numbersAt + start / 2]);
    }
    yield;
  }
}

function writeFloats(values: Float32Array, target: DataView, at: number): void {
  for (let i = 0; i < values.length; i++) {
    target.setFloat32(at + 4 * i, finite(values[i] as number), true);
  }
}

function writeHalves(values: Float32Array, target: DataView, at: number): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const bits = words[i] as number;
    // The exponent of infinity and NaN.
    if ((bits & 0x7f800000) === 0x7f800000) throw notFinite(values[i] as number);
    target.setUint16(at + 2 * i, upperHalf(bits), true);
  }
}

type Places = readonly [scales: number, numbers: number];

function writeInt8(
  values: Float32Array,
  bits: Uint16Array,
  target: DataView,
  [scalesAt, numbersAt]: Places,
): void {
  const rounded = new Int8Array(BLOCK_VALUES);
  for (let start = 0; start < values.length; start += BLOCK_VALUES) {
    const block = values.subarray(start, start + BLOCK_VALUES);
    const scale = roundByChance(block, LEVELS.int8, bits.subarray(start), rounded);
    target.setFloat32(scalesAt + (4 * start) / BLOCK_VALUES, scale, true);
    for (let i = 0; i < block.length; i++) {
      target.setInt8(numbersAt + start + i, rounded[i] as number);
    }
  }
}

function writeInt4(
  values: Float32Array,
  bits: Uint16Array,
  target: DataView,
  [scalesAt, numbersAt]: Places,
): void {
  const rounded = new Int8Array(BLOCK_VALUES);
  for (let start = 0; start < values.length; start += BLOCK_VALUES) {
    const block = values.subarray(start, start + BLOCK_VALUES);
    // Zeros after the last: the high nibble of an odd end is one.
    if (block.length < BLOCK_VALUES) rounded.fill(0);
    const scale = roundByChance(block, LEVELS.int4, bits.subarray(start), rounded);
    target.setFloat32(scalesAt + (4 * start) / BLOCK_VALUES, scale, true);
    for (let i = 0; i < block.length; i += 2) {
      const pair = (rounded[i] as number) + 8 + (((rounded[i + 1] as number) + 8) << 4);
      target.setUint8(numbersAt + (start + i) / 2, pair);
    }
  }
}

/** Where a section is: its first byte, its first value that is read, and the one after the last. */
interface Range {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}
type Take = (value: number, index: number) => void;

/**
 * Reads one number after the other, in slices, and hands each to `take`. Everything about the section is checked.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function* readValues(
  encoding: ValueEncoding,
  count: number,
  source: DataView,
  at: number,
  take: Take,
): Generator<undefined, void> {
  for (let from = 0; from < count; from += SLICE_VALUES) {
    const range = { at, from, to: Math.min(count, from + SLICE_VALUES) };
    if (encoding === "float32") readFloats(source, range, take);
    else if (encoding === "bfloat16") readHalves(source, range, take);
    else readQuantised(encoding, source, range, scaleBytes(encoding, count), take);
    yield;
  }
  const end = at + valuesBytes(encoding, count);
  const numbersAt = at + scaleBytes(encoding, count);
  if (encoding === "bfloat16") assertZeros(source, at + 2 * count, end);
  if (encoding === "int8") assertZeros(source, numbersAt + count, end);
  if (encoding === "int4") {
    if (count % 2 === 1 && source.getUint8(numbersAt + (count >> 1)) >> 4 !== 8) {
      throw malformed("the nibble after the last number is not 8");
    }
    assertZeros(source, numbersAt + Math.ceil(count / 2), end);
  }
}

function readFloats(source: DataView, { at, from, to }: Range, take: Take): void {
  for (let i = from; i < to; i++) take(finite(source.getFloat32(at + 4 * i, true)), i);
}

function readHalves(source: DataView, { at, from, to }: Range, take: Take): void {
  const bits = new Uint32Array(1);
  const number = new Float32Array(bits.buffer);
  for (let i = from; i < to; i++) {
    bits[0] = source.getUint16(at + 2 * i, true) << 16;
    take(finite(number[0] as number), i);
  }
}

function readQuantised(
  encoding: "int8" | "int4",
  source: DataView,
  { at, from, to }: Range,
  scalesBytes: number,
  take: Take,
): void {
  const numbersAt = at + scalesBytes;
  for (let start = from; start < to; start += BLOCK_VALUES) {
    const scale = source.getFloat32(at + (4 * start) / BLOCK_VALUES, true);
    if (!(scale >= 0 && scale <= MAX_SCALE)) {
      throw malformed(`a scale of ${scale} is not from 0 to ${MAX_SCALE}`);
    }
    const end = Math.min(to, start + BLOCK_VALUES);
    for (let i = start; i < end; i++) {
      const whole =
        encoding === "int8" ? source.getInt8(numbersAt + i) : nibbleAt(source, numbersAt, i);
      take(scale * whole, i);
    }
  }
}

function nibbleAt(source: DataView, at: number, index: number): number {
  const pair = source.getUint8(at + (index >> 1));
  const nibble = index % 2 === 0 ? pair & 15 : pair >> 4;
  if (nibble === 0) throw malformed("a nibble of 0 stands for no number");
  return nibble - 8;
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw notFinite(value);
}

/** @throws FederatedError MALFORMED_MESSAGE for padding that is not zero */
export function assertZeros(source: DataView, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    if (source.getUint8(at) !== 0) throw malformed("padding of the payload is not zero");
  }
}

export const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
