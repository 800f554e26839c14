/**
 * Where a composition of privacy losses lies: its cumulant generating function K(lambda) = log E[e^(lambda L)]
 * and derivatives, from coarsened masses. These numbers steer the transform (how far to tilt, which window)
 * and nothing that is reported is computed from them but one bound, which says so.
 */

import type { LossDistribution } from "./loss-distribution.ts";

/** Mass that the window leaves out on either side: e^-36 is about 2e-16. */
export const WINDOW_NATS = 36;

/** A loss distribution, composed `count` times. */
export interface Part {
  readonly count: number;
  readonly loss: LossDistribution;
}

/** One loss distribution in few masses, and how often it is composed. */
export interface Rough {
  readonly count: number;
  readonly losses: Float64Array;
  readonly logMass: Float64Array;
}

/** Bins that a look at cumulants needs: they steer, and nothing is computed from them. */
const ROUGH_BINS = 2048;

export function coarsen({ count, loss }: Part): Rough {
  const { h, first, mass } = loss;
  const step = Math.max(1, Math.ceil(mass.length / ROUGH_BINS));
  const losses: number[] = [];
  const logMass: number[] = [];
  for (let from = 0; from < mass.length; from += step) {
    let sum = 0;
    let weighted = 0;
    for (let i = from; i < Math.min(mass.length, from + step); i++) {
      sum += mass[i] as number;
      weighted += (mass[i] as number) * (first + i) * h;
    }
    if (sum <= 0) continue;
    losses.push(weighted / sum);
    logMass.push(Math.log(sum));
  }
  return { count, losses: Float64Array.from(losses), logMass: Float64Array.from(logMass) };
}

interface Cumulants {
  readonly value: number;
  readonly mean: number;
  readonly variance: number;
}

/** Of the whole composition. */
function cumulants(parts: readonly Rough[], lambda: number): Cumulants {
  let value = 0;
  let mean = 0;
  let variance = 0;
  for (const { count, losses, logMass } of parts) {
    let largest = -Infinity;
    for (let i = 0; i < losses.length; i++) {
      largest = Math.max(largest, (logMass[i] as number) + lambda * (losses[i] as number));
    }
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    for (let i = 0; i < losses.length; i++) {
      const l = losses[i] as number;
      const w = Math.exp((logMass[i] as number) + lambda * l - largest);
      s0 += w;
      s1 += w * l;
      s2 += w * l * l;
    }
    value += count * (largest + Math.log(s0));
    mean += (count * s1) / s0;
    variance += count * Math.max(0, s2 / s0 - (s1 / s0) ** 2);
  }
  return { value, mean, variance };
}

const MOST_TILT = 1e6;

/** lambda where the Chernoff bound e^(K - lambda eps) is least at the epsilon at which it is `delta`. */
export function tiltFor(parts: readonly Rough[], delta: number): number {
  const wanted = -Math.log(delta);
  const exceeds = (lambda: number) => {
    const { value, mean } = cumulants(parts, lambda);
    return lambda * mean - value > wanted;
  };
  let low = 1e-6;
  let high = 1;
  while (!exceeds(high) && high < MOST_TILT) {
    low = high;
    high *= 4;
  }
  for (let i = 0; i < 12; i++) {
    const middle = Math.sqrt(low * high);
    if (exceeds(middle)) high = middle;
    else low = middle;
  }
  return low;
}

/** Upper bound of the epsilon at `delta`: e^(K - lambda eps) = delta. */
export function chernoffEpsilon(parts: readonly Rough[], delta: number): number {
  const lambda = tiltFor(parts, delta);
  // Masses were merged at their means: what that may hide of K is far below one part in a thousand.
  return (1.001 * Math.abs(cumulants(parts, lambda).value) - Math.log(delta)) / lambda;
}

/** Losses between which all but e^-36 on either side of the tilted composition lies. */
export function windowOf(parts: readonly Rough[], lambda: number): { low: number; high: number } {
  const { value, mean, variance } = cumulants(parts, lambda);
  const reach = (sign: 1 | -1) => {
    const bound = (s: number) =>
      (cumulants(parts, lambda + sign * s).value - value + WINDOW_NATS) / s;
    // The optimum for a normal distribution is the place to begin.
    let s = Math.sqrt((2 * WINDOW_NATS) / Math.max(variance, 1e-300));
    let best = bound(s);
    for (const factor of [0.5, 2]) {
      for (;;) {
        const next = bound(s * factor);
        if (!(next < best)) break;
        best = next;
        s *= factor;
      }
    }
    return best;
  };
  const least = parts.reduce((sum, { count, losses }) => sum + count * (losses[0] as number), 0);
  const most = parts.reduce((sum, { count, losses }) => sum + count * (losses.at(-1) as number), 0);
  const low = Math.max(least, -reach(-1));
  const high = Math.min(most, reach(1));
  // A little more on both sides for what the merged bins hide.
  const margin = 0.05 * (high - low) + 1e-3 * Math.abs(mean);
  return { low: low - margin, high: high + margin };
}
