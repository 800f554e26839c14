/**
 * Whole-numbered Gaussian noise for sums on a grid: X + round(N) with N normal in double precision. For a whole
 * number X that is round(X + N), so the guarantee of the continuous Gaussian holds by post-processing, up to how
 * nearly N is normal: kernel/gaussian.ts has the bounds.
 *
 * What they mean for n = elements times rounds at a deviation of at most 2^21 steps: the privacy loss of the noise
 * that is drawn differs from that of ideal noise by a sum of n independent terms of root mean square 2^-26.5, all below
 * 2^-23.7. By Bernstein's inequality epsilon is above the claim by at most 1e-4 sqrt(n / 1e6) + 2e-6, but with a
 * probability of 1e-12, which adds to delta; so does n times what the tail moves (4e-20). A worst case over roundings
 * that conspire: nothing of it is in the epsilon that is reported. exact-noise.ts has no such term.
 */

import { BATCH, BYTES_PER_SAMPLE } from "./kernel/gaussian.ts";
import { openKernel } from "./kernel/open-kernel.ts";
import type { SecureRandom } from "./random.ts";
import { otherTurns as turnsOfNode } from "../thread.ts";

export interface IntegerNoise {
  /**
   * Adds to each element an independent whole number, from a rounded or a discrete Gaussian of standard deviation
   * `stddev`, in place.
   * @param sum whole numbers below 2^53 in magnitude; nobody else changes them meanwhile
   * @param stddev in steps of the grid
   * @throws RangeError when `stddev` is not positive and finite, when the sum is anything else before or after, or the
   * source of randomness fails: nothing of the sum may be released then. No message tells of its values
   */
  add(sum: Float64Array, stddev: number): Promise<void>;
}

/** Batches between two looks at the event loop: some three milliseconds, of a kernel that does 100 or 15 M/s. */
const BATCHES_PER_TURN = { simd: 32, plain: 4 };

/**
 * Fast noise: rounded Gaussian, by SIMD where the engine has it.
 * @param otherTurns lets what waits run, between slices of a long sum
 */
export function createIntegerNoise(
  random: Pick<SecureRandom, "fill">,
  otherTurns: () => Promise<void> = turnsOfNode,
  kernel = openKernel(),
): IntegerNoise {
  const slice = BATCH * BATCHES_PER_TURN[kernel.name];
  const addToBatch = (batch: Float64Array, stddev: number): boolean => {
    // Whole groups of eight; what is beyond the end is drawn and thrown away.
    const samples = Math.ceil(batch.length / 8) * 8;
    random.fill(kernel.random.subarray(0, samples * BYTES_PER_SAMPLE));
    kernel.sums.set(batch);
    kernel.sums.fill(0, batch.length, samples);
    const fine = kernel.add(samples, stddev);
    batch.set(kernel.sums.subarray(0, batch.length));
    return fine;
  };
  return {
    add: async (sum, stddev) => {
      assertStddev(stddev);
      await assertMayHaveNoise(sum, otherTurns);
      for (let start = 0; start < sum.length; start += slice) {
        if (start > 0) await otherTurns();
        const end = Math.min(sum.length, start + slice);
        for (let at = start; at < end; at += BATCH) {
          const fine = addToBatch(sum.subarray(at, Math.min(end, at + BATCH)), stddev);
          if (!fine) throw new RangeError(`with noise on it a sum must still be of ${WHOLE}`);
        }
      }
    },
  };
}

const WHOLE = "whole numbers below 2^53";

/** @throws RangeError unless it is positive and finite */
export function assertStddev(stddev: number): void {
  if (!(stddev > 0 && stddev < Infinity)) {
    throw new RangeError(`stddev must be > 0 and finite, got ${stddev}`);
  }
}

/** Elements that are looked at before others have their turn: about a millisecond. */
const LOOKED_AT = 2 ** 20;

/** As {@link assertWhole}, of what is to get noise: before any is drawn. */
export async function assertMayHaveNoise(
  sum: Float64Array,
  otherTurns: () => Promise<void>,
): Promise<void> {
  for (let start = 0; start < sum.length; start += LOOKED_AT) {
    if (start > 0) await otherTurns();
    assertWhole(sum.subarray(start, start + LOOKED_AT), "noise is added to");
  }
}

/**
 * @param what begins the sentence that the error says; none of the numbers is in it
 * @throws RangeError unless every element is a whole number below 2^53 in magnitude
 */
export function assertWhole(sum: Float64Array, what: string): void {
  // A plain loop takes a millisecond for a million elements, `every` twenty.
  for (let i = 0; i < sum.length; i++) {
    if (!Number.isSafeInteger(sum[i])) throw new RangeError(`${what} ${WHOLE}`);
  }
}
