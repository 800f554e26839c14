/** Numbers <-> the fewer bits that they are written in: bfloat16, and whole numbers with a scale. */

import { FederatedError } from "../errors.ts";
import { BLOCK_VALUES, MAX_SCALE } from "./format.ts";

/** Fills with random bits: of a cryptographic source, or repeatable. */
export type RandomBits = (target: Uint16Array<ArrayBuffer>) => void;

/**
 * The upper half of a finite float32's bits, rounded to nearest, ties to even: a bfloat16.
 * What would round to infinity becomes the largest finite one instead.
 */
export function upperHalf(bits: number): number {
  const half = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  return (half & 0x7fff) === 0x7f80 ? half - 1 : half;
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The next float32 above a positive one. */
function next(value: number): number {
  float[0] = value;
  word[0] = (word[0] as number) + 1;
  return float[0];
}

/** Smallest float32 of which `largest` is at most `levels` times. */
export function scaleFor(largest: number, levels: number): number {
  const scale = Math.fround(largest / levels);
  return scale * levels < largest ? next(scale) : scale;
}

/**
 * Rounds a block of at most {@link BLOCK_VALUES} numbers to whole multiples of one scale, up or down by chance, such
 * that the mean of `scale * q` is the number (to 2^-17 of a scale: chance has 16 bits) and no q is above `levels`.
 * @param bits as many random bits as numbers; all of them are read
 * @returns the scale
 * @throws FederatedError UPDATE_NOT_FINITE for numbers that are not, or larger than any scale allows
 */
export function roundByChance(
  block: Float32Array,
  levels: number,
  bits: Uint16Array,
  into: Int8Array,
): number {
  const count = Math.min(block.length, BLOCK_VALUES);
  const most = MAX_SCALE;
  let largest = 0;
  for (let i = 0; i < count; i++) {
    const magnitude = Math.abs(block[i] as number);
    if (!(magnitude <= largest)) largest = magnitude;
    if (!(magnitude <= most)) throw notFinite(magnitude);
  }
  const scale = scaleFor(largest, levels);
  for (let i = 0; i < count; i++) {
    // Half a unit in: chance is symmetric, and a whole multiple stays what it is.
    const chance = ((bits[i] as number) + 0.5) / 65_536;
    into[i] = scale === 0 ? 0 : Math.floor((block[i] as number) / scale + chance);
  }
  return scale;
}

export const notFinite = (value: number) =>
  new FederatedError(
    "UPDATE_NOT_FINITE",
    `${value} in an update: numbers must be finite, and those that are quantised below ${MAX_SCALE}`,
  );
