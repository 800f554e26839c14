/**
 * Exact samples of the discrete Gaussian, in integers only: Karney, "Sampling exactly from the normal distribution"
 * (arXiv:1303.6257), algorithm D for whole numbers; Canonne, Kamath, Steinke, "The discrete Gaussian for differential
 * privacy" (arXiv:2004.00010), algorithm 1 for coins of probability exp(-gamma).
 *
 *     P(x) = exp(-x^2 / (2 s^2)) / sum_k exp(-k^2 / (2 s^2)),   x whole
 *
 * No floating point is rounded anywhere, so there is nothing that a sampler adds to delta. The price is time, and
 * that time depends on what is drawn.
 */

import type { SecureRandom } from "./random.ts";

export interface DiscreteGaussian {
  /** The s that is sampled: the one asked for, rounded up to a fraction. Exact as a float64. */
  readonly stddev: number;
  sample(): number;
}

/** Numbers stay so small that every product here is exact in a float64: below 2^53. */
const MOST_NUMERATOR_BITS = 31;
const MOST_DENOMINATOR_BITS = 40;
const WORDS = 16_384;

/** @throws RangeError unless 2^-32 <= `stddev` <= 2^30: below, rounding up would not be small */
export function discreteGaussian(
  stddev: number,
  random: Pick<SecureRandom, "fill">,
): DiscreteGaussian {
  if (!(stddev >= 2 ** -32 && stddev <= 2 ** 30)) {
    throw new RangeError(`stddev must be between 2^-32 and 2^30 steps, got ${stddev}`);
  }
  const { numerator, denominator } = fractionAbove(stddev);
  const coins = createCoins(random);
  const whole = Math.ceil(numerator / denominator);
  const sample = (): number => {
    for (;;) {
      // k = floor(|x| / s) with probability proportional to exp(-k^2 / 2) …
      let k = 0;
      while (coins.halfExponential()) k += 1;
      if (!all(k * (k - 1), coins.halfExponential)) continue;
      // … then |x| among the whole numbers in [k s, (k + 1) s), all equally likely, and its rest: rest / numerator
      // in [0, 1) of s …
      const first = Math.ceil((k * numerator) / denominator);
      const magnitude = first + coins.below(whole);
      const rest = magnitude * denominator - k * numerator;
      if (rest >= numerator) continue;
      const isNegative = coins.below(2) === 1;
      // … 0 only once …
      if (magnitude === 0 && isNegative) continue;
      // … kept with probability exp(-rest (2 k + rest) / 2), rest in units of s.
      if (!all(k, () => coins.exponential(rest, numerator))) continue;
      if (!coins.halfSquareExponential(rest, numerator)) continue;
      return isNegative ? -magnitude : magnitude;
    }
  };
  return { stddev: numerator / denominator, sample };
}

/** The smallest fraction of at most 31 bits over a power of two that is not below `stddev`: at most 2^-30 above it. */
export function fractionAbove(stddev: number): {
  readonly numerator: number;
  readonly denominator: number;
} {
  let bits = 0;
  while (bits < MOST_DENOMINATOR_BITS && stddev * 2 ** (bits + 1) <= 2 ** MOST_NUMERATOR_BITS) {
    bits += 1;
  }
  return { numerator: Math.ceil(stddev * 2 ** bits), denominator: 2 ** bits };
}

/** Do `count` coins all come up? */
function all(count: number, coin: () => boolean): boolean {
  for (let i = 0; i < count; i++) if (!coin()) return false;
  return true;
}

/** Coins with exact probabilities. */
function createCoins(random: Pick<SecureRandom, "fill">) {
  const words = new Uint32Array(WORDS);
  let used = WORDS;
  const word = (): number => {
    if (used === WORDS) {
      random.fill(new Uint8Array(words.buffer));
      used = 0;
    }
    const value = words[used] as number;
    // What was used is not kept.
    words[used] = 0;
    used += 1;
    return value;
  };
  /** A whole number in [0, bound), bound <= 2^31, by rejection. */
  const below = (bound: number): number => {
    if (bound === 1) return 0;
    const shift = Math.clz32(bound - 1);
    for (;;) {
      const value = word() >>> shift;
      if (value < bound) return value;
    }
  };
  return {
    below,
    /** exp(-1/2): coins of 1/2, 1/4, 1/6, … until the first that fails, which must be an odd one. */
    halfExponential: (): boolean => {
      const bits = word();
      if ((bits & 1) !== 0) return true;
      if ((bits & 6) !== 0) return false;
      for (let k = 3; ; k++) if (below(2 * k) !== 0) return k % 2 === 1;
    },
    /** exp(-g), g = numerator / denominator <= 1: coins of g, g/2, g/3, … as above. */
    exponential: (numerator: number, denominator: number): boolean => {
      for (let k = 1; ; k++) {
        if (below(denominator) >= numerator || below(k) !== 0) return k % 2 === 1;
      }
    },
    /** exp(-g^2 / 2): the coin of g^2 / (2 k) is four coins, so that no number gets long. */
    halfSquareExponential: (numerator: number, denominator: number): boolean => {
      for (let k = 1; ; k++) {
        const fell =
          below(denominator) < numerator && below(denominator) < numerator && below(2 * k) === 0;
        if (!fell) return k % 2 === 1;
      }
    },
  };
}
