/** The sums of kernel.as in plain TypeScript: for engines without SIMD, and what its results are held against. */

import type { EncodedDelta } from "../encoded-delta.ts";
import { float32Of } from "../encoded-delta.ts";
import { noSlots } from "../update-slots.ts";
import type { DeltaSum } from "./delta-sum.ts";

/**
 * L2 norm, summed in float64; not finite exactly when an element is not.
 * @throws RangeError for an encoding that this does not know
 */
export function plainNorm(delta: EncodedDelta): number {
  const vector = float32Of(delta);
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += (vector[i] as number) ** 2;
  return Math.sqrt(sum);
}

/** @param options.whole rounds each element to a whole number before it is added */
export function createPlainSum(
  parameterCount: number,
  { whole = false }: { readonly whole?: boolean } = {},
): DeltaSum {
  const sum = new Float64Array(parameterCount);
  const add = whole ? addRounded : accumulate;
  return {
    slots: noSlots,
    add: (delta, factor) => add(sum, float32Of(delta), factor),
    sum: () => sum,
  };
}

/** sum += factor * delta. Four elements a turn are a quarter faster than one; memory is the limit. */
function accumulate(sum: Float64Array, delta: Float32Array, factor: number): void {
  const whole = sum.length - (sum.length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    sum[i] = (sum[i] as number) + factor * (delta[i] as number);
    sum[i + 1] = (sum[i + 1] as number) + factor * (delta[i + 1] as number);
    sum[i + 2] = (sum[i + 2] as number) + factor * (delta[i + 2] as number);
    sum[i + 3] = (sum[i + 3] as number) + factor * (delta[i + 3] as number);
  }
  for (; i < sum.length; i++) sum[i] = (sum[i] as number) + factor * (delta[i] as number);
}

/**
 * sum += round(scale * delta), for |scale * delta| <= 2^51. Four elements a turn are a third faster than one.
 */
function addRounded(sum: Float64Array, delta: Float32Array, scale: number): void {
  const whole = delta.length - (delta.length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    sum[i] = (sum[i] as number) + rounded(scale * (delta[i] as number));
    sum[i + 1] = (sum[i + 1] as number) + rounded(scale * (delta[i + 1] as number));
    sum[i + 2] = (sum[i + 2] as number) + rounded(scale * (delta[i + 2] as number));
    sum[i + 3] = (sum[i + 3] as number) + rounded(scale * (delta[i + 3] as number));
  }
  for (; i < delta.length; i++) {
    sum[i] = (sum[i] as number) + rounded(scale * (delta[i] as number));
  }
}

/** Adding it leaves no room for a fraction, for numbers up to 2^51: ties go to the even neighbour. */
const ROUNDER = 1.5 * 2 ** 52;
const rounded = (value: number): number => value + ROUNDER - ROUNDER;
