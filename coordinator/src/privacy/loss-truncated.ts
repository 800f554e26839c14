/**
 * Privacy loss of one Gaussian release on a truncated Poisson sample: every one of n users throws a coin of
 * probability q; of more than `cap` heads, `cap` are chosen, every subset equally likely. A user's head then
 * displaces another's. Ganesh 2025, "Tighter Privacy Analysis for Truncated Poisson Sampling" (arXiv:2508.15089),
 * as dp_accounting's TruncatedSubsampledGaussianDpEvent: whoever is told whether K, the heads of the others,
 * reach the cap, sees one of two pairs,
 *
 *     K < cap:   (1 - q) N(0, z^2) + q N(1, z^2)   against   N(0, z^2)
 *     K >= cap:  (1 - w) N(0, z^2) + w N(2, z^2)   against   (1 - w) N(0, z^2) + w N(-2, z^2)
 *
 * with w = P(n heads in all > cap) cap / (n P(K >= cap)): the chance of a place, given K >= cap.
 */

import { logOnePlusExp } from "./log-space.ts";
import type { LossDistribution, LossPair } from "./loss-distribution.ts";
import { EIGHT_POINTS, LOW_TAIL, sampledGaussianLoss, upperTail } from "./loss-distribution.ts";

export interface Truncation {
  /** n: users who throw a coin. */
  readonly population: number;
  /** Places. */
  readonly cap: number;
}

/** How likely the cap binds, and a user's chance of a place when it does. */
export interface Binding {
  /** P(K >= cap). */
  readonly probability: number;
  /** w. */
  readonly placeRate: number;
}

/** @param q in (0, 1] */
export function bindingOf(q: number, { population, cap }: Truncation): Binding {
  if (cap >= population) return { probability: 0, placeRate: 0 };
  if (q === 1) return { probability: 1, placeRate: cap / population };
  const mean = (population - 1) * q;
  // What lies farther below the mean is less than 1e-300.
  const first = Math.max(cap, Math.floor(mean - 40 * Math.sqrt(mean) - 40));
  let probability = 0;
  let places = 0;
  for (let k = first; k < population; k++) {
    const mass = binomialMass(population - 1, k, q);
    probability += mass;
    places += (mass * q * cap) / (k + 1);
    if (k > mean && mass <= 1e-18 * probability) break;
  }
  return probability === 0
    ? { probability: 0, placeRate: 0 }
    : { probability, placeRate: places / probability };
}

/** Both directions are one: the pair for K >= cap is its own mirror image. */
export function truncatedGaussianLoss(
  q: number,
  z: number,
  truncation: Truncation,
  h: number,
  tailMass: number,
): LossPair {
  const { probability, placeRate } = bindingOf(q, truncation);
  const free = freeLoss(q, z, h, tailMass);
  if (probability === 0) return free;
  const bound = displacedLoss(placeRate, z / 2, h, tailMass);
  return {
    remove: mixed(free.remove, bound, probability),
    add: mixed(free.add, bound, probability),
  };
}

/** The largest sampling rate below 1. */
const ALL = 1 - 2 ** -53;

const freeLoss = (q: number, z: number, h: number, tailMass: number): LossPair =>
  sampledGaussianLoss(Math.min(q, ALL), z, h, tailMass);

function mixed(a: LossDistribution, b: LossDistribution, weightOfB: number): LossDistribution {
  const first = Math.min(a.first, b.first);
  const end = Math.max(a.first + a.mass.length, b.first + b.mass.length);
  const mass = new Float64Array(end - first);
  for (const [{ first: from, mass: part }, weight] of [
    [a, 1 - weightOfB],
    [b, weightOfB],
  ] as const) {
    for (let i = 0, at = from - first; i < part.length; i++, at++) {
      mass[at] = (mass[at] as number) + weight * (part[i] as number);
    }
  }
  const infinity = (1 - weightOfB) * a.infinity + weightOfB * b.infinity;
  return { h: a.h, first, mass, infinity };
}

/**
 * Loss of (1 - w) N(0, s^2) + w N(1, s^2) against (1 - w) N(0, s^2) + w N(-1, s^2), by the same rule as
 * `loss-distribution.ts`: each cell's mass goes to its two ends, so that both measures stay.
 */
function displacedLoss(w: number, s: number, h: number, tailMass: number): LossDistribution {
  const lossAt = (x: number): number => displacedLogRatio(w, s, x);
  const low = -1 - LOW_TAIL * s;
  let high = 1;
  while ((1 - w) * upperTail(high / s) + w * upperTail((high - 1) / s) > tailMass) high += s / 64;
  const first = Math.floor(lossAt(low) / h);
  const last = Math.ceil(lossAt(high) / h);
  const mass = new Float64Array(last - first + 1);
  const perCell = -1 / Math.expm1(-h);
  const density = 1 / (s * Math.sqrt(2 * Math.PI));
  let from = low;
  for (let i = first; i < last; i++) {
    const to = i + 1 === last ? high : pointOf(lossAt, (i + 1) * h, from, high, s);
    const parts = Math.max(1, Math.ceil((to - from) / (0.5 * s)));
    const half = (to - from) / parts / 2;
    let lower = 0;
    let upper = 0;
    for (let part = 0; part < parts; part++) {
      const middle = from + (2 * part + 1) * half;
      for (const [node, weight] of EIGHT_POINTS) {
        const x = middle + half * node;
        const p =
          half *
          weight *
          density *
          ((1 - w) * Math.exp(-(x * x) / (2 * s * s)) +
            w * Math.exp(-((x - 1) * (x - 1)) / (2 * s * s)));
        const toEnd = -Math.expm1(-Math.min(h, Math.max(0, lossAt(x) - i * h))) * perCell;
        upper += p * toEnd;
        lower += p * (1 - toEnd);
      }
    }
    mass[i - first] = (mass[i - first] as number) + lower;
    mass[i - first + 1] = (mass[i - first + 1] as number) + upper;
    from = to;
  }
  // What lies below `low` counts at a loss that is not less than its own.
  const second = Math.min(1, mass.length - 1);
  mass[second] = (mass[second] as number) + upperTail(LOW_TAIL);
  const infinity = (1 - w) * upperTail(high / s) + w * upperTail((high - 1) / s);
  return { h, first, mass, infinity };
}

/** log of the pair's likelihood ratio at x; grows with x. */
export function displacedLogRatio(w: number, s: number, x: number): number {
  const odds = Math.log(w) - Math.log1p(-w);
  const up = (2 * x - 1) / (2 * s * s);
  const down = (-2 * x - 1) / (2 * s * s);
  return logOnePlusExp(odds + up) - logOnePlusExp(odds + down);
}

/** Where `lossAt`, which grows, is `loss`, between `from` and `most`: bisection between ever wider steps. */
function pointOf(
  lossAt: (x: number) => number,
  loss: number,
  from: number,
  most: number,
  s: number,
): number {
  let low = from;
  let step = s / 1024;
  let high = Math.min(most, from + step);
  while (high < most && lossAt(high) < loss) {
    low = high;
    step *= 2;
    high = Math.min(most, high + step);
  }
  for (let i = 0; i < 60 && high - low > 1e-15 * Math.max(1, Math.abs(high)); i++) {
    const middle = low + (high - low) / 2;
    if (lossAt(middle) < loss) low = middle;
    else high = middle;
  }
  return high;
}

/** P(Bin(n, q) = k), by Loader 2000, "Fast and Accurate Computation of Binomial Probabilities". */
export function binomialMass(n: number, k: number, q: number): number {
  if (k === 0) return Math.exp(n * Math.log1p(-q));
  if (k === n) return Math.exp(n * Math.log(q));
  const exponent =
    stirlingError(n) -
    stirlingError(k) -
    stirlingError(n - k) -
    deviance(k, n * q) -
    deviance(n - k, n * (1 - q));
  return Math.exp(exponent) * Math.sqrt(n / (2 * Math.PI * k * (n - k)));
}

/** log(n!) - log(sqrt(2 pi n) (n / e)^n). */
function stirlingError(n: number): number {
  if (n < 16) {
    let logFactorial = 0;
    for (let i = 2; i <= n; i++) logFactorial += Math.log(i);
    return logFactorial - (n + 0.5) * Math.log(n) + n - 0.5 * Math.log(2 * Math.PI);
  }
  const square = n * n;
  return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / n;
}

/** k log(k / m) + m - k, without the cancellation where they are close. */
function deviance(k: number, m: number): number {
  if (Math.abs(k - m) < 0.1 * (k + m)) {
    const v = (k - m) / (k + m);
    let sum = (k - m) * v;
    let power = 2 * k * v;
    for (let j = 1; j < 100; j++) {
      power *= v * v;
      const next = sum + power / (2 * j + 1);
      if (next === sum) return next;
      sum = next;
    }
    return sum;
  }
  return k * Math.log(k / m) + m - k;
}
