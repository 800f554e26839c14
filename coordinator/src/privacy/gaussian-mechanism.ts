/**
 * The central Gaussian mechanism: noise on the SUM of clipped deltas, then division by a fixed, public
 * number. The noise does not depend on who answered, nor does the denominator (PrivacyCharge accounts it).
 *
 *     release = (sum + N(0, (z C)^2 I)) / expectedReports
 */

import type { SecureRandom } from "./random.ts";

export interface CentralGaussianOptions {
  /** C: L2 bound of each client's delta. */
  readonly clippingNorm: number;
  /** z: standard deviation of the noise on the sum, divided by C. */
  readonly noiseMultiplier: number;
  /** The public denominator: never the number of clients that answered. */
  readonly expectedReports: number;
}

export interface CentralGaussian {
  /** z * C, in the units of the sum. */
  readonly sumNoiseStddev: number;
  /** z * C / expectedReports, in the units of the mean. */
  readonly meanNoiseStddev: number;
  /** A noisy mean, a new vector. @throws RangeError when the sum is not finite: nothing is released */
  release(sum: Float64Array, random: SecureRandom): Float64Array;
}

/** @throws RangeError for options that are not positive and finite */
export function centralGaussian(options: CentralGaussianOptions): CentralGaussian {
  const { clippingNorm, noiseMultiplier, expectedReports } = options;
  for (const [name, value] of Object.entries(options)) {
    if (!(value > 0 && value < Infinity)) throw new RangeError(`${name} must be > 0, got ${value}`);
  }
  const sumNoiseStddev = noiseMultiplier * clippingNorm;
  return {
    sumNoiseStddev,
    meanNoiseStddev: sumNoiseStddev / expectedReports,
    release: (sum, random) => {
      const noisy = sum.slice();
      addGaussianNoise(noisy, sumNoiseStddev, random);
      for (let i = 0; i < noisy.length; i++) noisy[i] = (noisy[i] as number) / expectedReports;
      return noisy;
    },
  };
}

/** Pairs of samples that are drawn at once. */
const PAIRS = 4_096;

/**
 * Adds independent N(0, stddev^2) to each element, in place, by Box-Muller from 53-bit uniforms.
 * @throws RangeError when `stddev` or an element is not finite; `vector` is as it was then
 */
export function addGaussianNoise(vector: Float64Array, stddev: number, random: SecureRandom): void {
  if (!(stddev >= 0 && stddev < Infinity))
    throw new RangeError(`stddev must be >= 0, got ${stddev}`);
  if (!vector.every(Number.isFinite)) throw new RangeError("noise needs a finite sum");
  for (let start = 0; start < vector.length; start += 2 * PAIRS) {
    const end = Math.min(vector.length, start + 2 * PAIRS);
    const pairs = Math.ceil((end - start) / 2);
    const bits = new Uint32Array(random.bytes(16 * pairs).buffer);
    for (let k = 0; k < pairs; k++) {
      // (0, 1], so that the logarithm is finite.
      const u = 1 - uniform(bits, 4 * k);
      const angle = 2 * Math.PI * uniform(bits, 4 * k + 2);
      const radius = stddev * Math.sqrt(-2 * Math.log(u));
      const i = start + 2 * k;
      vector[i] = (vector[i] as number) + radius * Math.cos(angle);
      if (i + 1 < end) vector[i + 1] = (vector[i + 1] as number) + radius * Math.sin(angle);
    }
  }
}

/** [0, 1) from the two words at `at`. */
const uniform = (bits: Uint32Array, at: number): number =>
  ((bits[at] as number) * 2 ** 21 + ((bits[at + 1] as number) >>> 11)) / 2 ** 53;
