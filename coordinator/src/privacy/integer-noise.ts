/**
 * Whole-numbered Gaussian noise for sums on a grid: X + round(N) with N normal in double precision. For a whole
 * number X that is round(X + N), so the guarantee of the continuous Gaussian holds by post-processing, up to how well
 * a double of some 53 random bits can be normal: about 2^-30 of each probability at a standard deviation of 2^20, and
 * nothing beyond sqrt(2 ln 2^53) = 8.57 standard deviations, where a normal number is once in 2^56.
 */

import type { SecureRandom } from "./random.ts";

export interface IntegerNoise {
  /**
   * Adds to each element an independent whole number, from a rounded or a discrete Gaussian of standard deviation
   * `stddev`, in place.
   * @param sum whole numbers below 2^53 in magnitude; nobody else changes them meanwhile
   * @param stddev in steps of the grid
   * @throws RangeError when `stddev` is not positive and finite, when the sum is anything else before or after, or the
   * source of randomness runs short: nothing of the sum may be released then. No message tells of its values
   */
  add(sum: Float64Array, stddev: number): Promise<void>;
}

/** Elements between two looks at the event loop: about a millisecond. */
const SLICE = 16_384;
const BYTES_PER_PAIR = 16;

/**
 * By Box and Muller 1958 from two 53-bit uniforms for each pair of elements.
 * @param otherTurns lets what waits run, between slices of a long sum; by default nothing does
 */
export function createIntegerNoise(
  random: SecureRandom,
  otherTurns: () => Promise<void> = () => Promise.resolve(),
): IntegerNoise {
  return {
    add: async (sum, stddev) => {
      if (!(stddev > 0 && stddev < Infinity)) {
        throw new RangeError(`stddev must be > 0 and finite, got ${stddev}`);
      }
      assertWhole(sum, "noise is added to");
      for (let start = 0; start < sum.length; start += SLICE) {
        if (start > 0) await otherTurns();
        addToSlice(sum.subarray(start, start + SLICE), stddev, random);
      }
      assertWhole(sum, "with noise on it a sum must still be of");
    },
  };
}

/**
 * @param what begins the sentence that the error says; none of the numbers is in it
 * @throws RangeError unless every element is a whole number below 2^53 in magnitude
 */
export function assertWhole(sum: Float64Array, what: string): void {
  // A plain loop takes a millisecond for a million elements, `every` twenty.
  for (let i = 0; i < sum.length; i++) {
    if (!Number.isSafeInteger(sum[i])) throw new RangeError(`${what} whole numbers below 2^53`);
  }
}

function addToSlice(slice: Float64Array, stddev: number, random: SecureRandom): void {
  const words = drawWords(random, Math.ceil(slice.length / 2));
  for (let i = 0, at = 0; i < slice.length; i += 2, at += 4) {
    // (0, 1], so that the logarithm is finite.
    const u = 1 - uniform(words, at);
    const angle = 2 * Math.PI * uniform(words, at + 2);
    const radius = stddev * Math.sqrt(-2 * Math.log(u));
    slice[i] = (slice[i] as number) + Math.round(radius * Math.cos(angle));
    if (i + 1 < slice.length) {
      slice[i + 1] = (slice[i + 1] as number) + Math.round(radius * Math.sin(angle));
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
