/**
 * Buffered linear Toeplitz matrices (Dvijotham, McMahan, Pillutla, Steinke, Thakurta 2024, "Efficient and
 * Near-Optimal Noise Generation for Streaming Differential Privacy"; for several participations McMahan, Xu, Zhang
 * 2024, "A Hassle-free Algorithm for Private Learning in Practice"): Toeplitz matrices whose coefficients are a sum
 * of a few geometric series, so that a multiplication by C or C^-1 remembers one vector for each of them.
 *
 *     c_0 = 1,   c_i = sum over j of scale_j decay_j^(i-1)
 */

import type { ParticipationLimits, PrefixError } from "./toeplitz.ts";
import { mostParticipations } from "./toeplitz.ts";

export interface BltParameters {
  /** In (0, 1), one for each buffer. */
  readonly decays: readonly number[];
  /** > 0, together at most 1: then the coefficients never rise. */
  readonly scales: readonly number[];
}

/** What is wrong with parameters, in words; undefined where nothing is. */
export function bltFault({ decays, scales }: BltParameters): string | undefined {
  if (decays.length === 0 || decays.length !== scales.length) {
    return `has ${decays.length} decays and ${scales.length} scales, needs as many of each, and one at least`;
  }
  const decay = decays.find((value) => !(value > 0 && value < 1));
  if (decay !== undefined) return `has the decay ${decay}, which must be in (0, 1)`;
  const scale = scales.find((value) => !(value > 0 && value <= 1));
  if (scale !== undefined) return `has the scale ${scale}, which must be in (0, 1]`;
  const sum = scales.reduce((total, value) => total + value, 0);
  // A matrix whose coefficients rise has no sensitivity that we know of.
  if (!(sum <= 1)) return `has scales that add up to ${sum}, above 1: its coefficients would rise`;
  return undefined;
}

/** The first column of C. */
export function bltCoefficients({ decays, scales }: BltParameters, rounds: number): Float64Array {
  const coefficients = new Float64Array(rounds);
  const terms = Float64Array.from(scales);
  for (let i = 0; i < rounds; i++) {
    if (i === 0) {
      coefficients[0] = 1;
      continue;
    }
    let sum = 0;
    for (let j = 0; j < terms.length; j++) {
      sum += terms[j] as number;
      terms[j] = (terms[j] as number) * (decays[j] as number);
    }
    coefficients[i] = sum;
  }
  return coefficients;
}

/**
 * As {@link toeplitzSensitivitySquared}, in one pass over the rounds and without the coefficients.
 * @throws RangeError for parameters with a fault
 */
export function bltSensitivitySquared(
  blt: BltParameters,
  rounds: number,
  limits: ParticipationLimits,
): number {
  assertBlt(blt);
  return columnNormSquared(blt, rounds, limits);
}

/** @throws RangeError for parameters with a fault */
export function bltPrefixError(blt: BltParameters, rounds: number): PrefixError {
  assertBlt(blt);
  return prefixError(blt, rounds);
}

function assertBlt(blt: BltParameters): void {
  const fault = bltFault(blt);
  if (fault !== undefined) throw new RangeError(`the matrix ${fault}`);
}

/** What the optimizer makes small: log(sens^2 * largest error), Infinity for parameters with a fault. */
export function bltLogLoss(
  blt: BltParameters,
  rounds: number,
  limits: ParticipationLimits,
): number {
  if (bltFault(blt) !== undefined) return Infinity;
  const loss = Math.log(columnNormSquared(blt, rounds, limits) * prefixError(blt, rounds).max);
  return Number.isFinite(loss) ? loss : Infinity;
}

/** |C u|^2 for u = 1 in rounds 0, b, 2b, … */
function columnNormSquared(
  { decays, scales }: BltParameters,
  rounds: number,
  { minSeparation, maxParticipations }: ParticipationLimits,
): number {
  const times = Math.min(maxParticipations, mostParticipations(rounds, minSeparation));
  const end = times * minSeparation;
  const buffers = new Float64Array(decays.length);
  let sum = 0;
  for (let t = 0; t < rounds; t++) {
    const input = t < end && t % minSeparation === 0 ? 1 : 0;
    let value = input;
    for (let j = 0; j < buffers.length; j++) {
      const buffer = buffers[j] as number;
      value += (scales[j] as number) * buffer;
      buffers[j] = (decays[j] as number) * buffer + input;
    }
    sum += value * value;
  }
  return sum;
}

/** From C^-1 times ones: its entries are the prefix sums of the first column of C^-1. */
function prefixError({ decays, scales }: BltParameters, rounds: number): PrefixError {
  const buffers = new Float64Array(decays.length);
  let row = 0;
  let total = 0;
  for (let t = 0; t < rounds; t++) {
    let value = 1;
    for (let j = 0; j < buffers.length; j++)
      value -= (scales[j] as number) * (buffers[j] as number);
    for (let j = 0; j < buffers.length; j++) {
      buffers[j] = (decays[j] as number) * (buffers[j] as number) + value;
    }
    row += value * value;
    total += row;
  }
  return { max: row, mean: total / rounds };
}
