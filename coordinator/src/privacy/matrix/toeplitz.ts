/**
 * Lower-triangular Toeplitz matrices, each written as its first column c_0, c_1, …: products, inverses, what one
 * client can change in C X, and how large the noise of a prefix sum is. Matrix mechanism: release
 * X + C^-1 Z, which is C^-1 (C X + Z), so that its privacy is that of one Gaussian release of C X (Denisov et al.
 * 2022, "Improved Differential Privacy for SGD via Optimal Private Linear Operators on Adaptive Streams").
 */

import type { ParticipationLimits } from "@tributary/protocol";

export type { ParticipationLimits } from "@tributary/protocol";

/** Most rounds with that separation that fit into a run: ceil(n / b). */
export const mostParticipations = (rounds: number, minSeparation: number): number =>
  Math.ceil(rounds / minSeparation);

/** The matrix C with C^2 = the prefix sums: c_i = c_{i-1} (2i - 1) / 2i (Fichtenberger, Henzinger, Upadhyay 2023). */
export function squareRootCoefficients(rounds: number): Float64Array {
  const coefficients = new Float64Array(rounds);
  let value = 1;
  for (let i = 0; i < rounds; i++) {
    if (i > 0) value *= (2 * i - 1) / (2 * i);
    coefficients[i] = value;
  }
  return coefficients;
}

/** The first column of C^-1: h_0 = 1 / c_0, h_i = -(c_1 h_{i-1} + … + c_i h_0) / c_0. @param coefficients c_0 <> 0 */
export function inverseCoefficients(coefficients: Float64Array, rounds: number): Float64Array {
  const first = coefficients[0] as number;
  const inverse = new Float64Array(rounds);
  for (let i = 0; i < rounds; i++) {
    let sum = i === 0 ? -1 : 0;
    for (let j = Math.min(i, coefficients.length - 1); j >= 1; j--) {
      sum += (coefficients[j] as number) * (inverse[i - j] as number);
    }
    inverse[i] = -sum / first;
  }
  return inverse;
}

/**
 * The largest |C x|^2 over x of one client: +-1 in its rounds, which keep the limits, and 0 elsewhere. For
 * coefficients that never rise and are never negative the worst rounds are 0, b, 2b, … (Kalinin and Lampert 2024,
 * "Banded Square Root Matrix Factorization for Differentially Private Model Training", Theorem 2), so that
 *
 *     sens^2 = sum over t < n of (sum over i < min(k, ceil(n / b)) of c_{t - i b})^2
 *
 * @param coefficients the first column; what lies beyond its end is 0
 * @throws RangeError for coefficients that the theorem does not speak of: nothing else here bounds those
 */
export function toeplitzSensitivitySquared(
  coefficients: Float64Array,
  rounds: number,
  { minSeparation, maxParticipations }: ParticipationLimits,
): number {
  assertFallingCoefficients(coefficients);
  const times = Math.min(maxParticipations, mostParticipations(rounds, minSeparation));
  const column = new Float64Array(rounds);
  for (let i = 0; i < times; i++) {
    const start = i * minSeparation;
    const end = Math.min(rounds, start + coefficients.length);
    for (let t = start; t < end; t++) {
      column[t] = (column[t] as number) + (coefficients[t - start] as number);
    }
  }
  return sumOfSquares(column);
}

function assertFallingCoefficients(coefficients: Float64Array): void {
  let previous = Infinity;
  for (const [i, value] of coefficients.entries()) {
    if (value >= 0 && value <= previous && value < Infinity) previous = value;
    else {
      const message = `coefficient ${i} is ${value} after ${previous}: no bound is known for a matrix whose coefficients rise or are negative`;
      throw new RangeError(message);
    }
  }
}

/** Variance of the noise of a prefix sum, for Z of variance 1: its largest over the run, and its mean. */
export interface PrefixError {
  readonly max: number;
  readonly mean: number;
}

/** The squared row norms of A C^-1, A the prefix sums. @param noising the first column of C^-1 */
export function toeplitzPrefixError(noising: Float64Array, rounds: number): PrefixError {
  let prefix = 0;
  let row = 0;
  let total = 0;
  for (let t = 0; t < rounds; t++) {
    prefix += noising[t] ?? 0;
    row += prefix * prefix;
    total += row;
  }
  // Rows only grow: the last is the largest.
  return { max: row, mean: total / rounds };
}

export function sumOfSquares(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
