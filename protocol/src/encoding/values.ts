/** Dense sections: numbers in one of the four value encodings, at a place in a payload. */

import { FederatedError } from "../errors.ts";
import type { ValueEncoding } from "../plan.ts";
import { BLOCK_VALUES, MAX_SCALE, scaleBytes, valuesBytes } from "./format.ts";
import type { RandomBits } from "./rounding.ts";
import { fromBfloat16, notFinite, roundByChance, toBfloat16 } from "./rounding.ts";

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
  const { length } = values;
  if (encoding === "int8" || encoding === "int4") {
    yield* writeQuantised(encoding, values, target, at, random);
    return;
  }
  for (let i = 0; i < length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) throw notFinite(value);
    if (encoding === "float32") target.setFloat32(at + 4 * i, value, true);
    else target.setUint16(at + 2 * i, toBfloat16(value), true);
    if (i % SLICE_VALUES === SLICE_VALUES - 1) yield;
  }
}

function* writeQuantised(
  encoding: "int8" | "int4",
  values: Float32Array,
  target: DataView,
  at: number,
  random: RandomBits,
): Generator<undefined, void> {
  const { length } = values;
  const numbersAt = at + scaleBytes(encoding, length);
  const bits = new Uint16Array(Math.min(SLICE_VALUES / 4, length));
  const rounded = new Int8Array(BLOCK_VALUES);
  for (let start = 0; start < length; start += BLOCK_VALUES) {
    const taken = start % bits.length;
    if (taken === 0) random(bits);
    const block = values.subarray(start, start + BLOCK_VALUES);
    // Zeros after the last: the high nibble of an odd end is one.
    if (block.length < BLOCK_VALUES) rounded.fill(0);
    const scale = roundByChance(block, LEVELS[encoding], bits.subarray(taken), rounded);
    target.setFloat32(at + (4 * start) / BLOCK_VALUES, scale, true);
    if (encoding === "int8") {
      const to = numbersAt + start;
      for (let i = 0; i < block.length; i++) target.setInt8(to + i, rounded[i] as number);
    } else {
      const to = numbersAt + start / 2;
      for (let i = 0; i < block.length; i += 2) {
        const pair = (rounded[i] as number) + 8 + (((rounded[i + 1] as number) + 8) << 4);
        target.setUint8(to + i / 2, pair);
      }
    }
    if ((start + BLOCK_VALUES) % SLICE_VALUES === 0) yield;
  }
}

/**
 * Reads one number after the other, and hands each to `take`. Everything about the section is checked.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function readValues(
  encoding: ValueEncoding,
  count: number,
  source: DataView,
  at: number,
  take: (value: number, index: number) => void,
): void {
  const end = at + valuesBytes(encoding, count);
  if (encoding === "float32") {
    for (let i = 0; i < count; i++) take(finite(source.getFloat32(at + 4 * i, true)), i);
  } else if (encoding === "bfloat16") {
    for (let i = 0; i < count; i++)
      take(finite(fromBfloat16(source.getUint16(at + 2 * i, true))), i);
    assertZeros(source, at + 2 * count, end);
  } else {
    const numbersAt = at + scaleBytes(encoding, count);
    for (let i = 0; i < count; i++) {
      const scale = source.getFloat32(at + 4 * Math.floor(i / BLOCK_VALUES), true);
      if (!(scale >= 0 && scale <= MAX_SCALE)) {
        throw malformed(`a scale of ${scale} is not from 0 to ${MAX_SCALE}`);
      }
      take(scale * wholeAt(encoding, source, numbersAt, i), i);
    }
    if (
      encoding === "int4" &&
      count % 2 === 1 &&
      source.getUint8(numbersAt + count / 2) >> 4 !== 8
    ) {
      throw malformed("the nibble after the last number is not 8");
    }
    assertZeros(source, numbersAt + (encoding === "int8" ? count : Math.ceil(count / 2)), end);
  }
}

function wholeAt(encoding: "int8" | "int4", source: DataView, at: number, index: number): number {
  if (encoding === "int8") return source.getInt8(at + index);
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
