/**
 * The grid of local noise, one definition for the client that adds it and the coordinator that bounds what may
 * come: whole steps, so that sums are exact and the low bits of a number say nothing (Mironov 2012).
 */

import { FederatedError } from "./errors.ts";

export interface NoiseSettings {
  /** C: L2 bound of a delta. */
  readonly clippingNorm: number;
  /** z: standard deviation of the noise, divided by 2 C. */
  readonly noiseMultiplier: number;
}

export interface NoiseGrid {
  /** g, a power of two: integers below 2^24 times g are float32 numbers exactly. */
  readonly step: number;
  /** C in steps. */
  readonly normBound: number;
  /** z 2 C in steps. */
  readonly noiseStddev: number;
}

/** No noise is more than so many standard deviations: where the sampler's radius ends, at a chance of 2^-65. */
export const NOISE_REACH = 9.5;

/** Integers below it are float32 numbers exactly. */
export const NOISE_GRID_END = 2 ** 24;

/**
 * The finest grid on which no noisy number reaches 2^24 steps. It follows from public settings alone.
 * @throws FederatedError CONFIG_INVALID for settings that float32 cannot carry
 */
export function noiseGridOf({ clippingNorm, noiseMultiplier }: NoiseSettings): NoiseGrid {
  // Any two deltas in the ball are up to 2 C apart: that is what the noise must hide.
  const noise = noiseMultiplier * 2 * clippingNorm;
  // 2: half a step for rounding the delta, half for the noise, and room for the rounding of this line itself.
  const span = (clippingNorm + NOISE_REACH * noise) / (NOISE_GRID_END - 2);
  let step = 2 ** Math.ceil(Math.log2(span));
  // The logarithm may be off by its last bit.
  if (step < span) step *= 2;
  if (!(clippingNorm > 0 && noiseMultiplier > 0 && step >= 2 ** -149 && step <= 2 ** 103)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `local noise of multiplier ${noiseMultiplier} for a clipping norm of ${clippingNorm} does not fit float32`,
    );
  }
  return { step, normBound: clippingNorm / step, noiseStddev: noise / step };
}
