/**
 * Composition of privacy losses by Fourier transform, exponentially tilted: p~(l) = p(l) e^(lambda l) / M(lambda)
 * puts the middle of the composition where epsilon lies, so that rounding and aliasing enter relative to delta,
 * however small that is:
 *
 *     delta(eps) = e^(K - lambda eps) sum_{l > eps} p~(l) e^(-lambda (l - eps)) (1 - e^(eps - l)),
 *     K = sum over releases of log M(lambda)
 *
 * Koskela, Jalko, Honkela 2020, "Computing Tight Differential Privacy Guarantees Using FFT"; for the tilting,
 * Esscher 1932. The errors that remain are bounded and added to delta.
 */

import { createFourierTransform } from "./fft.ts";
import type { Part, Rough } from "./loss-cumulants.ts";
import { WINDOW_NATS, windowOf } from "./loss-cumulants.ts";
import type { LossDistribution } from "./loss-distribution.ts";

const LARGEST_TRANSFORM = 2 ** 20;
const UNIT_ROUNDOFF = 2 ** -53;
/** A frequency below e^-44 of the whole is left out: 1e-19, less than rounding leaves of the others. */
const NOTHING_NATS = 44;

/** Where the curve delta(epsilon) passes the wanted delta. */
export interface Edge {
  readonly epsilon: number;
  /** -d log(delta) / d epsilon there. */
  readonly steepness: number;
}

/** Why there is no edge: the grid is too fine for the largest transform, or the tilt led elsewhere. */
export type NoEdge = "gridTooFine" | "outsideWindow";

export function composeTilted(
  parts: readonly Part[],
  rough: readonly Rough[],
  delta: number,
  lambda: number,
): Edge | NoEdge {
  const h = (parts[0] as Part).loss.h;
  const { low, high } = windowOf(rough, lambda);
  const start = Math.floor(low / h);
  const bins = Math.ceil(high / h) - start + 1;
  const size = 2 ** Math.max(4, Math.ceil(Math.log2(bins)));
  if (!(size <= LARGEST_TRANSFORM)) return "gridTooFine";

  const transform = createFourierTransform(size);
  const productRe = new Float64Array(size).fill(1);
  const productIm = new Float64Array(size);
  let logMoment = 0;
  let survives = 0;
  for (const { count, loss } of parts) {
    const re = new Float64Array(size);
    const im = new Float64Array(size);
    logMoment += count * tiltInto(re, loss, lambda);
    survives += count * Math.log1p(-loss.infinity);
    transform.forward(re, im);
    multiplyPower(productRe, productIm, re, im, count);
  }
  const releases = parts.reduce((sum, { count }) => sum + count, 0);
  let meanMagnitude = 0;
  for (let i = 0; i < size; i++) {
    const x = productRe[i] as number;
    const y = productIm[i] as number;
    // Not `Math.hypot`, which is slow: nothing here is large enough to overflow.
    meanMagnitude += Math.sqrt(x * x + y * y) / size;
  }
  transform.inverse(productRe, productIm);

  // One bin's error by rounding: of the transforms, and of the powers, which multiply it.
  const roundoff = 8 * UNIT_ROUNDOFF * Math.log2(size) * (releases + 1) * meanMagnitude;
  const outside = 2 * Math.exp(-WINDOW_NATS);
  const never = -Math.expm1(survives);
  return readEpsilon(
    { masses: productRe, start, size, h },
    { lambda, logMoment, roundoff, outside, never },
    delta,
  );
}

/** Puts the tilted masses on the circle of the transform. @returns log M(lambda) */
function tiltInto(re: Float64Array, { h, first, mass }: LossDistribution, lambda: number): number {
  const size = re.length;
  let largest = -Infinity;
  for (let i = 0; i < mass.length; i++) {
    const m = mass[i] as number;
    if (m > 0) largest = Math.max(largest, Math.log(m) + lambda * (first + i) * h);
  }
  let total = 0;
  const tilted = new Float64Array(mass.length);
  for (let i = 0; i < mass.length; i++) {
    const m = mass[i] as number;
    if (m <= 0) continue;
    tilted[i] = Math.exp(Math.log(m) + lambda * (first + i) * h - largest);
    total += tilted[i] as number;
  }
  for (
    let i = 0, at = modulo(first, size);
    i < mass.length;
    i++, at = at + 1 === size ? 0 : at + 1
  ) {
    re[at] = (re[at] as number) + (tilted[i] as number) / total;
  }
  return largest + Math.log(total);
}

/** product *= z^count. Frequencies whose power is nothing in double precision become 0. */
function multiplyPower(
  productRe: Float64Array,
  productIm: Float64Array,
  re: Float64Array,
  im: Float64Array,
  count: number,
): void {
  const nothing = Math.exp((-2 * NOTHING_NATS) / count);
  for (let i = 0; i < re.length; i++) {
    const zr = re[i] as number;
    const zi = im[i] as number;
    const square = zr * zr + zi * zi;
    if (square < nothing) {
      productRe[i] = 0;
      productIm[i] = 0;
      continue;
    }
    const magnitude = Math.exp(0.5 * count * Math.log(square));
    const angle = count * Math.atan2(zi, zr);
    const wr = magnitude * Math.cos(angle);
    const wi = magnitude * Math.sin(angle);
    const pr = productRe[i] as number;
    const pi = productIm[i] as number;
    productRe[i] = pr * wr - pi * wi;
    productIm[i] = pr * wi + pi * wr;
  }
}

const modulo = (i: number, size: number): number => ((i % size) + size) % size;

// ----------------------------------------------------------------------------- reading

interface Composition {
  /** Tilted masses on a circle: loss `k h` at `k mod size`. */
  readonly masses: Float64Array;
  /** k of the least loss in the window. */
  readonly start: number;
  readonly size: number;
  readonly h: number;
}

interface Reading {
  readonly lambda: number;
  /** K. */
  readonly logMoment: number;
  /** Error of one mass. */
  readonly roundoff: number;
  /** Mass that the window leaves out or takes from elsewhere. */
  readonly outside: number;
  /** Probability of an infinite loss. */
  readonly never: number;
}

/**
 * Goes down the grid until delta(eps), with all errors added, passes `delta`; between two points of the grid
 * delta is linear in e^eps.
 */
function readEpsilon(
  { masses, start, size, h }: Composition,
  { lambda, logMoment, roundoff, outside, never }: Reading,
  delta: number,
): Edge | NoEdge {
  if (never >= delta) return { epsilon: Infinity, steepness: 0 };
  const shrink = Math.exp(-lambda * h);
  const shrinkMore = Math.exp(-(lambda + 1) * h);
  // Sums over l > eps of p~(l) e^(-lambda (l - eps)), of p~(l) e^(-(lambda + 1)(l - eps)), and of the weights.
  let plain = 0;
  let more = 0;
  let weights = 0;
  let weightsMore = 0;
  let above = { epsilon: 0, delta: Number.NaN };
  let at = modulo(start + size, size);
  for (let k = start + size - 1; k >= start; k--) {
    at = at === 0 ? size - 1 : at - 1;
    const epsilon = k * h;
    const scale = Math.exp(Math.min(700, logMoment - lambda * epsilon));
    const error = roundoff * (weights - weightsMore) + outside;
    const here = scale * (Math.max(0, plain - more) + error) + never;
    if (here > delta) {
      if (!(above.delta <= delta)) return "outsideWindow";
      const share = (here - delta) / (here - above.delta);
      return {
        epsilon: epsilon + Math.log1p(share * Math.expm1(above.epsilon - epsilon)),
        steepness: Math.log(here / above.delta) / h,
      };
    }
    above = { epsilon, delta: here };
    const mass = Math.max(0, masses[at] as number);
    plain = shrink * (plain + mass);
    more = shrinkMore * (more + mass);
    weights = shrink * (weights + 1);
    weightsMore = shrinkMore * (weightsMore + 1);
  }
  return "outsideWindow";
}
