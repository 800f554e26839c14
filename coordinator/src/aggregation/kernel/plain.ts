/**
 * The sums of sums.as in plain TypeScript: for engines without SIMD, for memory that the kernel cannot have, and what
 * its results are held against. For a factor f and a delta x, exactly in this order:
 *
 *     float32, bfloat16    sum_i += f x_i
 *     int8, int4           sum_i += f (s / 2^24) (2^24 q_i)   s is the scale of the block, q_i the whole number
 *     whole sums           each product is rounded first, ties to even
 *
 * All in float64, so f s q_i is within 2^-52 of what the payload means, relatively. Squares go to eight lanes,
 * element i to lane i mod 8; of whole numbers the squares of a block are summed exactly, then times s^2, to lane 0.
 */

import type { ValueEncoding } from "@tributary/protocol";
import {
  BLOCK_VALUES,
  isFederatedError,
  payloadSections,
  readPayload,
  scaleBytes,
} from "@tributary/protocol";

import type { EncodedDelta } from "../encoded-delta.ts";
import { noSlots } from "../update-slots.ts";
import { slicesOf } from "../slices.ts";
import type { DeltaSum, DeltaSumOptions, SumStage } from "./delta-sum.ts";
import { assertOpen, isFloat, LANES, normOfLanes } from "./delta-sum.ts";

/**
 * L2 norm, summed in float64; not finite exactly when an element is not.
 * @throws FederatedError MALFORMED_MESSAGE for a payload that is none of its encoding
 */
export function plainNorm(delta: EncodedDelta): number {
  const section = valuesOf(delta);
  const lanes = new Float64Array(LANES);
  for (let start = 0; start < section.count; start += BLOCK_VALUES) {
    const { scale, size } = readBlock(section, start);
    if (isFloat(section.encoding)) squareFloats(lanes, size);
    else lanes[0] = (lanes[0] as number) + scale * scale * squareWholes(size);
  }
  const norm = normOfLanes(lanes);
  // Of dense float32 numbers the length is all that can be wrong.
  if (delta.encoding.kind === "float32") return norm;
  try {
    readPayload(delta.encoding, delta.parameterCount, delta.payload, () => undefined);
  } catch (error) {
    // That is told by the norm.
    if (!(isFederatedError(error) && error.code === "UPDATE_NOT_FINITE")) throw error;
  }
  return norm;
}

export function createPlainSum(parameterCount: number, options: DeltaSumOptions = {}): DeltaSum {
  const sum = new Float64Array(parameterCount);
  let stage: SumStage = "open";
  return {
    slots: noSlots,
    add: (delta, factor) => {
      assertOpen(stage);
      plainAdd(sum, delta, factor, options);
    },
    sum: () => {
      assertOpen(stage);
      return sum;
    },
    divide: function* (denominator) {
      assertOpen(stage);
      stage = "divided";
      yield* slicesOf(parameterCount, (start, end) => {
        for (let i = start; i < end; i++) sum[i] = (sum[i] as number) / denominator;
      });
      return sum;
    },
    close: () => {
      stage = "closed";
    },
  };
}

/** sum += factor * delta. @throws FederatedError MALFORMED_MESSAGE with the sum as it was */
export function plainAdd(
  sum: Float64Array,
  delta: EncodedDelta,
  factor: number,
  { whole = false }: DeltaSumOptions = {},
): void {
  const section = valuesOf(delta);
  const indices = "values" in delta.encoding ? indicesOf(delta, section.count) : undefined;
  for (let start = 0; start < section.count; start += BLOCK_VALUES) {
    const { scale, size } = readBlock(section, start);
    // As the kernel has whole numbers: the product is the same, as powers of two cost no bit.
    const isRaised = !isFloat(section.encoding);
    if (isRaised) for (let i = 0; i < size; i++) block[i] = RAISED * (block[i] as number);
    const scaled = factor * (isRaised ? scale / RAISED : scale);
    if (indices !== undefined) {
      for (let i = 0; i < size; i++) {
        const product = scaled * (block[i] as number);
        const at = indices[start + i] as number;
        sum[at] = (sum[at] as number) + (whole ? rounded(product) : product);
      }
    } else if (whole) addRounded(sum, start, size, scaled);
    else accumulate(sum, start, size, scaled);
  }
}

/** sum += values modulo 2^32: what masked updates are added by. */
export function plainAddModular(sum: Uint32Array, values: Uint32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (values[i] as number);
}

// ------------------------------------------------------------------- blocks of numbers

interface ValueSection {
  readonly encoding: ValueEncoding;
  readonly view: DataView;
  /** First byte of the section in the view. */
  readonly at: number;
  readonly count: number;
}

function valuesOf({ encoding, parameterCount, payload }: EncodedDelta): ValueSection {
  const { count, valuesAt } = payloadSections(encoding, parameterCount, payload);
  return {
    encoding: "values" in encoding ? encoding.values : encoding.kind,
    view: new DataView(payload.buffer, payload.byteOffset, payload.length),
    at: valuesAt,
    count,
  };
}

const RAISED = 2 ** 24;
/** The numbers of the block that was read last: as they are, or whole, to be multiplied by the scale. */
const block = new Float64Array(BLOCK_VALUES);
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function readBlock(
  { encoding, view, at, count }: ValueSection,
  start: number,
): { readonly scale: number; readonly size: number } {
  const size = Math.min(BLOCK_VALUES, count - start);
  const numbersAt = at + scaleBytes(encoding, count);
  switch (encoding) {
    case "float32":
      readFloats(view, numbersAt + 4 * start, size);
      return { scale: 1, size };
    case "bfloat16":
      for (let i = 0; i < size; i++) {
        word[0] = view.getUint16(numbersAt + 2 * (start + i), true) << 16;
        block[i] = float[0] as number;
      }
      return { scale: 1, size };
    case "int8":
      for (let i = 0; i < size; i++) block[i] = view.getInt8(numbersAt + start + i);
      break;
    case "int4":
      for (let i = 0; i < size; i++) {
        const pair = view.getUint8(numbersAt + (start + i - (i % 2)) / 2);
        block[i] = (i % 2 === 0 ? pair & 15 : pair >> 4) - 8;
      }
      break;
  }
  return { scale: view.getFloat32(at + (4 * start) / BLOCK_VALUES, true), size };
}

function readFloats(view: DataView, at: number, size: number): void {
  for (let i = 0; i < size; i++) block[i] = view.getFloat32(at + 4 * i, true);
}

/** Where each value of a sparse payload belongs; everything about the payload is checked on the way. */
function indicesOf({ encoding, parameterCount, payload }: EncodedDelta, count: number) {
  const indices = new Uint32Array(count);
  let read = 0;
  readPayload(encoding, parameterCount, payload, (_, index) => void (indices[read++] = index));
  return indices;
}

function squareFloats(lanes: Float64Array, size: number): void {
  const mask = lanes.length - 1;
  for (let i = 0; i < size; i++) {
    const value = block[i] as number;
    lanes[i & mask] = (lanes[i & mask] as number) + value * value;
  }
}

function squareWholes(size: number): number {
  let squares = 0;
  for (let i = 0; i < size; i++) squares += (block[i] as number) * (block[i] as number);
  return squares;
}

function accumulate(sum: Float64Array, start: number, size: number, factor: number): void {
  for (let i = 0; i < size; i++) {
    sum[start + i] = (sum[start + i] as number) + factor * (block[i] as number);
  }
}

function addRounded(sum: Float64Array, start: number, size: number, factor: number): void {
  for (let i = 0; i < size; i++) {
    sum[start + i] = (sum[start + i] as number) + rounded(factor * (block[i] as number));
  }
}

/** Adding it leaves no room for a fraction, for numbers up to 2^51: ties go to the even neighbour. */
const ROUNDER = 1.5 * 2 ** 52;
const rounded = (value: number): number => value + ROUNDER - ROUNDER;
