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
  /**
   * A noisy mean, a new vector; `sum` keeps its values.
   * @throws RangeError when the sum or the result is not finite: nothing is released then
   */
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
      if (!noisy.every(Number.isFinite)) throw new RangeError("the noisy mean is not finite");
      return noisy;
    },
  };
}

/** Pairs of samples that are drawn at once. */
const PAIRS = 4_096;
const BYTES_PER_PAIR = 16;

/**
 * Adds independent N(0, sumNoiseStddev^2) to each element of a sum, in place, by Box-Muller from 53-bit
 * uniforms. In double precision: not hardened against attacks on the last bits (Mironov 2012).
 * @throws RangeError when `sumNoiseStddev` or an element is not finite, or the source runs short: the
 * sum must not be released then
 */
export function addGaussianNoise(
  sum: Float64Array,
  sumNoiseStddev: number,
  random: SecureRandom,
): void {
  if (!(sumNoiseStddev >= 0 && sumNoiseStddev < Infinity)) {
    throw new RangeError(`sumNoiseStddev must be >= 0 and finite, got ${sumNoiseStddev}`);
  }
  if (!sum.every(Number.isFinite)) throw new RangeError("noise is added to a finite sum only");
  for (let start = 0; start < sum.length; start += 2 * PAIRS) {
    const end = Math.min(sum.length, start + 2 * PAIRS);
    const words = drawWords(random, Math.ceil((end - start) / 2));
    for (let i = start, at = 0; i < end; i += 2, at += 4) {
      // (0, 1], so that the logarithm is finite.
      const u = 1 - uniform(words, at);
      const angle = 2 * Math.PI * uniform(words, at + 2);
      const radius = sumNoiseStddev * Math.sqrt(-2 * Math.log(u));
      sum[i] = (sum[i] as number) + radius * Math.cos(angle);
      if (i + 1 < end) sum[i + 1] = (sum[i + 1] as number) + radius * Math.sin(angle);
    }
  }
}

/** Four random words for each pair, in memory of their own: a source may hand out views of a pool. */
function drawWords(random: SecureRandom, pairs: number): Uint32Array {
  const drawn = random.bytes(BYTES_PER_PAIR * pairs);
  if (drawn.length !== BYTES_PER_PAIR * pairs) {
    throw new RangeError(`asked for ${BYTES_PER_PAIR * pairs} random bytes, got ${drawn.length}`);
  }
  return new Uint32Array(new Uint8Array(drawn).buffer);
}

/** [0, 1) from the two words at `at`. */
const uniform = (words: Uint32Array, at: number): number =>
  ((words[at] as number) * 2 ** 21 + ((words[at + 1] as number) >>> 11)) / 2 ** 53;
