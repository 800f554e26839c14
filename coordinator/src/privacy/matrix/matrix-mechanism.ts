/**
 * The matrix mechanism on a grid (DP-FTRL): a run of n sums X_t, each released with noise that takes back part of
 * the noise before it. With C the run's matrix, g the grid's step and s = sens(C):
 *
 *     release_t = g (X_t + round((C^-1 Z)_t)) / expectedReports,   Z iid of standard deviation z s (C / g + sqrt(d) / 2)
 *
 * Why that costs one Gaussian release of noise multiplier z for the whole run:
 * 1. A client's part of X_t is a delta of norm C, rounded: of norm at most C / g + sqrt(d) / 2 steps, in each of its
 *    rounds. Within its participation limits it changes C X by at most s times that, so that C X + Z is a Gaussian
 *    release of z, also where later sums depend on what was released before (Denisov et al. 2022, Theorem 2.1).
 * 2. C^-1 (C X + Z) = X + C^-1 Z is post-processing of it. X_t are whole numbers, so that X + round(C^-1 Z) is
 *    round(X + C^-1 Z): post-processing again, and the sum itself never meets a fraction.
 * 3. Z and C^-1 Z are made without a look at X, in doubles: Z in whole numbers of a much finer grid, C^-1 Z with
 *    round-offs that die out. How well they are what they stand for is as in `integer-noise.ts`. The noise of a tree
 *    is whole from the start and its sums are exact.
 *
 * Neighbours: one client's parts are all there, or all are zero ("zero-out"; the rounds themselves are public).
 * No sampling is assumed, and whoever chooses the clients may be an adversary, within the limits.
 */

import type { Grid } from "../grid.ts";
import type { IntegerNoise } from "../integer-noise.ts";
import { meanOfSteps } from "../gaussian-mechanism.ts";
import type { Factorization } from "./factorization.ts";
import type { NoiseState } from "./noise-state.ts";

export interface MatrixMechanismOptions {
  /** Of z and the clipping norm; its noise is for a single release, ours is sens(C) times that. */
  readonly grid: Grid;
  readonly factorization: Factorization;
  /** The public denominator: never the number of clients that answered. */
  readonly expectedReports: number;
}

/** Noise of one step, drawn and not used yet. */
export interface StepNoise {
  /** Whole numbers of grid steps. */
  readonly steps: Float64Array;
  /** What the noise of the steps after it comes from. */
  readonly next: NoiseState;
}

export interface MatrixMechanism {
  /** z times sens(C) times the rounded norm, in the units of a delta: of fresh noise. */
  readonly freshNoiseStddev: number;
  /** Before the first step. */
  begin(): NoiseState;
  /**
   * Noise for the next step. It may be drawn again as long as it met no sum; from then on `next` must be what
   * counts, whatever comes of the release.
   * @throws when the run is over, or state or noise is not what it must be
   */
  draw(state: NoiseState): Promise<StepNoise>;
  /**
   * A noisy mean, a new vector; `sum` keeps its values.
   * @param sum whole numbers of grid steps
   * @throws when sum, noise or result is not what it must be: nothing is released then
   */
  release(sum: Float64Array, noise: StepNoise): Float64Array;
}

/** Fresh noise of a matrix that is not whole has so many steps of its finer grid: 2^9 below 2^53 lies its tail. */
const FINE_STDDEV = 2 ** 44;

/** @throws RangeError for a denominator that is not positive and finite */
export function matrixMechanism(
  { grid, factorization, expectedReports }: MatrixMechanismOptions,
  noise: IntegerNoise,
): MatrixMechanism {
  if (!(expectedReports > 0 && expectedReports < Infinity)) {
    throw new RangeError(`expectedReports must be > 0 and finite, got ${expectedReports}`);
  }
  const size = grid.parameterCount;
  const stddevSteps = grid.noiseStddevSteps * Math.sqrt(factorization.sensitivitySquared);
  // A power of two, so that going from one grid to the other is exact.
  const parts = factorization.isWhole
    ? 1
    : Math.max(1, 2 ** Math.floor(Math.log2(FINE_STDDEV / stddevSteps)));
  return {
    freshNoiseStddev: stddevSteps * grid.step,
    begin: () => factorization.begin(size),
    draw: async (state) => {
      const fresh = new Float64Array(size);
      await noise.add(fresh, stddevSteps * parts);
      const { noise: drawn, next } = factorization.step(state, fresh);
      const steps = drawn.map((value) => Math.round(value / parts));
      if (!steps.every(Number.isSafeInteger) || !next.vectors.every(allFinite)) {
        throw new RangeError("the noise of a step is not finite");
      }
      return { steps, next };
    },
    release: (sum, { steps }) => {
      if (sum.length !== size || steps.length !== size) {
        throw new RangeError(
          `a sum of ${sum.length} elements and noise of ${steps.length}, the grid is for ${size}`,
        );
      }
      const noisy = sum.map((value, i) => value + (steps[i] as number));
      return meanOfSteps(noisy, grid.step, expectedReports);
    },
  };
}

const allFinite = (vector: Float64Array): boolean => vector.every(Number.isFinite);
