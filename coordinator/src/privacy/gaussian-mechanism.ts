/**
 * The central Gaussian mechanism on a grid: whole-numbered noise on the exact SUM of clipped, rounded deltas, then
 * division by a fixed, public number. The noise does not depend on who answered, nor does the denominator.
 *
 *     release = g (sum + noise) / expectedReports,    standard deviation of the noise: z (C / g + sqrt(d) / 2)
 *
 * One client more or less changes the sum by at most C / g + sqrt(d) / 2 steps, so the charge is that of z.
 */

import type { Grid } from "./grid.ts";
import type { IntegerNoise } from "./integer-noise.ts";
import { assertWhole } from "./integer-noise.ts";
import { otherTurns } from "../thread.ts";

/** From an exact sum to what may be published of it. */
export interface ReleaseMechanism {
  /**
   * A noisy mean, a new vector; `sum` keeps its values.
   * @param sum whole numbers of grid steps
   * @throws when the sum, the noise or the result is not what it must be: nothing is released then
   */
  release(sum: Float64Array): Promise<Float64Array>;
}

export interface CentralGaussianOptions {
  /** Where the sum lives, and how much noise it needs. */
  readonly grid: Grid;
  /** The public denominator: never the number of clients that answered. */
  readonly expectedReports: number;
}

export interface CentralGaussian extends ReleaseMechanism {
  /** z times the rounded norm, in the units of a delta. */
  readonly sumNoiseStddev: number;
  /** The same over expectedReports: in the units of the mean. */
  readonly meanNoiseStddev: number;
}

/** @throws RangeError for a denominator that is not positive and finite */
export function centralGaussian(
  { grid, expectedReports }: CentralGaussianOptions,
  noise: IntegerNoise,
): CentralGaussian {
  if (!(expectedReports > 0 && expectedReports < Infinity)) {
    throw new RangeError(`expectedReports must be > 0 and finite, got ${expectedReports}`);
  }
  const sumNoiseStddev = grid.noiseStddevSteps * grid.step;
  return {
    sumNoiseStddev,
    meanNoiseStddev: sumNoiseStddev / expectedReports,
    release: async (sum) => {
      if (sum.length !== grid.parameterCount) {
        throw new RangeError(
          `the sum has ${sum.length} elements, its grid is for ${grid.parameterCount}`,
        );
      }
      const noisy = new Float64Array(sum.length);
      await inSlices(sum.length, (start, end) => noisy.set(sum.subarray(start, end), start));
      await noise.add(noisy, grid.noiseStddevSteps);
      await inSlices(sum.length, (start, end) => {
        meanOfSteps(noisy.subarray(start, end), grid.step, expectedReports);
      });
      return noisy;
    },
  };
}

/** Elements between two looks at the event loop: a few milliseconds. */
const SLICE = 2 ** 20;

async function inSlices(length: number, run: (start: number, end: number) => void): Promise<void> {
  for (let start = 0; start < length; start += SLICE) {
    if (start > 0) await otherTurns();
    run(start, Math.min(length, start + SLICE));
  }
}

/**
 * Steps of the grid -> mean, in place: sum[i] * step / denominator. The product is exact.
 * @throws RangeError when an element is not a whole number of steps, or its mean not finite
 */
export function meanOfSteps(sum: Float64Array, step: number, denominator: number): Float64Array {
  // Whatever added the noise: a value off the grid is one that nobody accounted for.
  assertWhole(sum, "a noisy sum on a grid is of");
  for (let i = 0; i < sum.length; i++) {
    const mean = ((sum[i] as number) * step) / denominator;
    if (!Number.isFinite(mean)) throw new RangeError("the noisy mean is not finite");
    sum[i] = mean;
  }
  return sum;
}
