/**
 * The public grid that private sums live on. Every clipped delta is rounded to whole steps of g, sums are whole
 * numbers and exact, and the noise is a whole number of steps: no released value has a last bit that tells anything
 * (Mironov 2012; Casacuberta et al. 2022). For z, C and d elements:
 *
 *     g = 2^floor(log2(z C / 2^20))
 *     |rounded delta| <= C + g sqrt(d) / 2            rounding moves each element by at most g / 2
 *     noise of standard deviation z (C + g sqrt(d) / 2) on the sum
 *
 * A power of two, so that whole numbers times g are exact; so fine that rounding raises the noise by less than 0.05 %
 * at z = 1 and a million elements. It depends on settings alone, never on data.
 */

import { FederatedError } from "@tributary/protocol";

export interface GridSettings {
  /** z: standard deviation of the noise on the sum, divided by the norm of one client's part. */
  readonly noiseMultiplier: number;
  /** C: L2 bound of each client's delta. */
  readonly clippingNorm: number;
  /** d: elements of a delta. */
  readonly parameterCount: number;
}

export interface Grid extends GridSettings {
  /** g, in the units of a delta. */
  readonly step: number;
  /** C + g sqrt(d) / 2: L2 bound of a delta after rounding, in its units. What the noise is measured by. */
  readonly roundedNorm: number;
  /** Standard deviation of the noise on the sum, in steps: z times the rounded norm. */
  readonly noiseStddevSteps: number;
  /** So many deltas can be summed: no partial sum, whatever they are, comes near 2^53. */
  readonly mostSummands: number;
}

/** The noise has between so many and twice so many steps: what is finer than the grid it drowns by far. */
const NOISE_STEPS = 2 ** 20;
/** Float32 knows nothing finer, */
const FINEST_STEP = 2 ** -149;
/** and holds sums of millions of such parts, and noise of so much with hundreds of standard deviations. */
const LARGEST_PART = 2 ** 100;
/** A quarter of 2^53: the other three are for noise, and for rounding by adding a large constant. */
const LARGEST_SUM = 2 ** 51;

/** @throws FederatedError CONFIG_INVALID where `gridFault` finds one */
export function createGrid(settings: GridSettings): Grid {
  const fault = gridFault(settings);
  if (fault !== undefined) throw new FederatedError("CONFIG_INVALID", fault);
  return gridOf(settings);
}

/**
 * Why sums cannot be private, exact and useful under these settings; undefined where they can.
 * @param summands how many deltas one sum must have room for
 */
export function gridFault(settings: GridSettings, summands = 1): string | undefined {
  const { noiseMultiplier, clippingNorm, parameterCount } = settings;
  const [z, norm] = [`noiseMultiplier is ${noiseMultiplier}`, `clippingNorm ${clippingNorm}`];
  if (!(isPositive(noiseMultiplier) && isPositive(clippingNorm))) {
    return `${z} and ${norm}; both must be finite and above 0`;
  }
  if (!Number.isSafeInteger(parameterCount) || parameterCount < 1) {
    return `there is no sum of deltas of ${parameterCount} elements`;
  }
  const { step, roundedNorm, mostSummands } = gridOf(settings);
  if (!(step >= FINEST_STEP)) {
    return `${z} and ${norm}: the grid's step would be ${step}, finer than 2^-149, the smallest number that float32 weights know`;
  }
  if (!(Math.max(1, noiseMultiplier) * clippingNorm <= LARGEST_PART)) {
    return `${z} and ${norm}: what a client sends and their product, the noise, must be at most 2^100 to fit float32 weights`;
  }
  if (!(roundedNorm <= 2 * clippingNorm)) {
    return `${z} and the model has ${parameterCount} parameters: rounding to the grid would raise what a client can change from ${clippingNorm} to ${roundedNorm}; use less noise or a smaller model`;
  }
  if (mostSummands < summands) {
    return `${z}: sums of ${summands} clients would not be exact, only ${mostSummands} have room beside noise so small; use more noise`;
  }
  return undefined;
}

function gridOf(settings: GridSettings): Grid {
  const { noiseMultiplier, clippingNorm, parameterCount } = settings;
  const step = powerOfTwoBelow((noiseMultiplier * clippingNorm) / NOISE_STEPS);
  const roundedNorm = clippingNorm + (step * Math.sqrt(parameterCount)) / 2;
  return {
    noiseMultiplier,
    clippingNorm,
    parameterCount,
    step,
    roundedNorm,
    noiseStddevSteps: noiseMultiplier * (roundedNorm / step),
    // An element of a rounded delta is at most C / g + 1/2; the rest of the 1 is for rounding errors.
    mostSummands: Math.floor(LARGEST_SUM / (clippingNorm / step + 1)),
  };
}

const isPositive = (value: number): boolean => value > 0 && value < Infinity;

/** The largest power of two that is not above `value`. */
function powerOfTwoBelow(value: number): number {
  const power = 2 ** Math.floor(Math.log2(value));
  // The logarithm may be rounded to the next whole number.
  if (power > value) return power / 2;
  return power * 2 <= value ? power * 2 : power;
}
