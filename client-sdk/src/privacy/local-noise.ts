/**
 * Local differential privacy of one update: the delta is clipped and rounded to an integer grid, and Gaussian
 * noise for a sensitivity of 2 C is added in integers, before anything of it leaves the client.
 *
 * For any two deltas a and b of a client the clipped ones are integers times g with |a|, |b| <= C, exactly and
 * not up to rounding, so |a - b| <= 2 C; with noise of standard deviation z 2 C one update costs mu = 1 / z.
 * round(X + N) = X + round(N) for integers X: rounding the noise is the same as rounding the noisy value, which
 * is post-processing, so the Gaussian's guarantee carries over whatever is read out of the low bits
 * (Mironov 2012): every released number is an integer times g, and any integer near enough to be likely can come
 * of any delta (`NOISE_REACH` cuts off a chance of 2^-65). What is left is the error of the sampler itself, about 2^-28
 * of each integer's chance.
 */

import type { NoiseGrid, NoiseSettings } from "@tributary/protocol";
import {
  clipFactor,
  FederatedError,
  l2Norm,
  NOISE_GRID_END,
  noiseGridOf,
} from "@tributary/protocol";

import { createBreather } from "../breather.ts";
import { throwIfAborted } from "../delay.ts";
import { notFinite } from "../delta.ts";
import { addNormalIntegers } from "./normal-integers.ts";

/** Elements between two looks at the clock. */
const SLICE = 8_192;

/**
 * A noisy copy of `delta`. Gives way to the event loop as it goes.
 * @throws FederatedError UPDATE_NOT_FINITE, CONFIG_INVALID, ABORTED, INTERNAL: nothing may be sent then
 */
export async function addLocalNoise(
  delta: Float32Array,
  settings: NoiseSettings,
  signal: AbortSignal,
): Promise<Float32Array> {
  const { step, normBound, noiseStddev } = noiseGridOf(settings);
  const breathe = createBreather();
  const rest = async () => {
    await breathe();
    throwIfAborted(signal);
  };
  const integers = await onGrid(delta, { step, normBound }, rest);
  const noisy = new Float32Array(delta.length);
  for (let start = 0; start < integers.length; start += SLICE) {
    const slice = integers.subarray(start, start + SLICE);
    addNormalIntegers(slice, noiseStddev);
    for (let i = 0; i < slice.length; i++) {
      const value = slice[i] as number;
      if (!(Math.abs(value) < NOISE_GRID_END)) {
        throw new FederatedError("INTERNAL", `a noisy number of ${value} steps is off the grid`);
      }
      noisy[start + i] = value * step;
    }
    await rest();
  }
  return noisy;
}

/** Tries of a factor that brings the rounded delta into the ball; the second one nearly always does. */
const TRIES = 8;

/**
 * The clipped delta in whole steps, of L2 norm at most `normBound`: rounding may lengthen it, then it is
 * scaled once more. Towards zero at last, which lengthens nothing.
 */
export async function onGrid(
  delta: Float32Array,
  { step, normBound }: Pick<NoiseGrid, "step" | "normBound">,
  rest: () => Promise<void>,
): Promise<Int32Array> {
  await rest();
  const norm = l2Norm(delta);
  if (!Number.isFinite(norm)) throw notFinite();
  await rest();
  const integers = new Int32Array(delta.length);
  let factor = clipFactor(norm, normBound * step) / step;
  for (let tries = 1; tries <= TRIES; tries++) {
    const round = tries < TRIES ? Math.round : Math.trunc;
    // Whole numbers below 2^53: the sum is exact.
    let squares = 0;
    for (let start = 0; start < delta.length; start += SLICE) {
      const end = Math.min(delta.length, start + SLICE);
      for (let i = start; i < end; i++) {
        const value = round((delta[i] as number) * factor);
        integers[i] = value;
        squares += value * value;
      }
      await rest();
    }
    if (squares <= normBound * normBound) return integers;
    factor *= Math.min(1 - 2 ** -40, normBound / Math.sqrt(squares));
  }
  throw new FederatedError("INTERNAL", "the clipped delta cannot be brought onto the noise grid");
}
