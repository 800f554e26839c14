/**
 * Privacy loss of one Poisson-sampled Gaussian release as masses on a grid, in both directions of
 * add-or-remove-one. With N = N(0, z^2) and M = (1 - q) N(0, z^2) + q N(1, z^2):
 *
 *     remove: P = M, Q = N, loss  L(x) = log(1 - q + q e^y),  y = (2 x - 1) / (2 z^2)
 *     add:    P = N, Q = M, loss -L(x)
 *
 * Connect-the-dots (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022, "Connect the Dots: Tighter Discrete
 * Approximations of Privacy Loss Distributions"): the mass of each cell [ih, (i + 1)h] goes to its two ends
 * so that its measure under P and under Q stays what it is. What results is dominated by nothing tighter on
 * this grid, and its hockey-stick curve lies nowhere below the true one.
 */

import { logAdd, logExpm1 } from "./log-space.ts";

/** Masses under P: `mass[i]` at loss `(first + i) h`; `infinity` where Q has nothing to compare. */
export interface LossDistribution {
  readonly h: number;
  readonly first: number;
  readonly mass: Float64Array;
  readonly infinity: number;
}

export interface LossPair {
  readonly remove: LossDistribution;
  readonly add: LossDistribution;
}

/** Gauss-Legendre on [-1, 1]: nodes and weights of 2, 3 and 8 points. */
const TWO = { nodes: [-Math.sqrt(1 / 3), Math.sqrt(1 / 3)], weights: [1, 1] };
const THREE = {
  nodes: [-Math.sqrt(0.6), 0, Math.sqrt(0.6)],
  weights: [5 / 9, 8 / 9, 5 / 9],
};
const EIGHT = {
  nodes: [
    -0.9602898564975363, -0.7966664774136267, -0.525532409916329, -0.1834346424956498,
    0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363,
  ],
  weights: [
    0.1012285362903763, 0.2223810344533745, 0.3137066458778873, 0.362683783378362,
    0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763,
  ],
};
/** Pairs of node and weight. */
export const EIGHT_POINTS: readonly (readonly [number, number])[] = EIGHT.nodes.map((node, i) => [
  node,
  EIGHT.weights[i] as number,
]);
/** Widths in standard deviations up to which 2, 3 and 8 points are exact to about 1e-13. */
const TWO_POINT_WIDTH = 0.005;
const THREE_POINT_WIDTH = 0.03;
const EIGHT_POINT_WIDTH = 0.5;
/** Below so many standard deviations nothing is looked at closely: its mass is about 1e-21. */
export const LOW_TAIL = 9.6;

/**
 * @param q sampling rate in (0, 1)
 * @param z noise multiplier > 0
 * @param h width of the grid > 0
 * @param tailMass mass under P that may be counted as infinite loss
 */
export function sampledGaussianLoss(q: number, z: number, h: number, tailMass: number): LossPair {
  const lossAt = (x: number): number => {
    const y = (2 * x - 1) / (2 * z * z);
    return y < 700 ? Math.log1p(q * Math.expm1(y)) : logAdd(Math.log1p(-q), Math.log(q) + y);
  };
  /** Inverse of `lossAt`; -Infinity at and below the least loss. */
  const pointOf = (loss: number): number => {
    const apart = Math.expm1(loss) / q;
    // Beyond the largest double: 1 + is nothing to it, and soon nor is the 1 that was taken off.
    const logApart = (loss < 700 ? logExpm1(loss) : loss) - Math.log(q);
    const ratio = apart < Infinity ? Math.log1p(apart) : logApart;
    return Number.isNaN(ratio) ? -Infinity : z * z * ratio + 0.5;
  };
  const low = -LOW_TAIL * z;
  const tail = highTail(q, z, tailMass);
  const high = 1 + tail.deviations * z;
  const first = Math.floor(lossAt(low) / h);
  const last = Math.ceil(lossAt(high) / h);
  const remove = new Float64Array(last - first + 1);
  const add = new Float64Array(last - first + 1);
  const density = 1 / (z * Math.sqrt(2 * Math.PI));
  const perCell = -1 / Math.expm1(-h);

  let from = low;
  for (let i = first; i < last; i++) {
    const to = Math.min(high, Math.max(from, pointOf((i + 1) * h)));
    const width = to - from;
    const rule =
      width <= TWO_POINT_WIDTH * z ? TWO : width <= THREE_POINT_WIDTH * z ? THREE : EIGHT;
    const parts = Math.max(1, Math.ceil(width / (EIGHT_POINT_WIDTH * z)));
    const half = width / parts / 2;
    let removeLow = 0;
    let removeHigh = 0;
    let addLow = 0;
    let addHigh = 0;
    for (let part = 0; part < parts; part++) {
      const middle = from + (2 * part + 1) * half;
      for (let j = 0; j < rule.nodes.length; j++) {
        const x = middle + half * (rule.nodes[j] as number);
        const weight = half * (rule.weights[j] as number) * density;
        const none = weight * Math.exp(-(x * x) / (2 * z * z));
        const shifted = weight * Math.exp(-((x - 1) * (x - 1)) / (2 * z * z));
        const mixed = (1 - q) * none + q * shifted;
        // How far into the cell, between 0 and h; rounding may lead a hair outside.
        const into = Math.min(h, Math.max(0, lossAt(x) - i * h));
        const toEnd = -Math.expm1(-into) * perCell;
        removeHigh += mixed * toEnd;
        removeLow += mixed * (1 - toEnd);
        // The cell of -L reaches from -(i + 1)h to -ih.
        const toStart = -Math.expm1(into - h) * perCell;
        addHigh += none * toStart;
        addLow += none * (1 - toStart);
      }
    }
    const at = i - first;
    remove[at] = (remove[at] as number) + removeLow;
    remove[at + 1] = (remove[at + 1] as number) + removeHigh;
    add[at] = (add[at] as number) + addHigh;
    add[at + 1] = (add[at + 1] as number) + addLow;
    from = to;
  }
  // What lies below `low` counts at a loss that is not less than its own.
  const below = upperTail(LOW_TAIL);
  const second = Math.min(1, remove.length - 1);
  remove[second] = (remove[second] as number) + below;
  add[0] = (add[0] as number) + below;
  // Above `high` -L is below everything here: it counts at the least loss.
  add[add.length - 1] = (add[add.length - 1] as number) + upperTail(high / z);
  add.reverse();
  return {
    remove: { h, first, mass: remove, infinity: tail.mass },
    add: { h, first: -last, mass: add, infinity: 0 },
  };
}

/** Upper bound of the probability that a standard normal exceeds `deviations` >= 0. */
export const upperTail = (deviations: number): number =>
  0.5 * Math.exp(-(deviations * deviations) / 2);

/** Where M's upper tail, in deviations above its upper component, is at most `mass`. */
function highTail(q: number, z: number, mass: number): { deviations: number; mass: number } {
  const tailAt = (c: number) => (1 - q) * upperTail(c + 1 / z) + q * upperTail(c);
  let low = 0;
  let high = 40;
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (tailAt(middle) > mass) low = middle;
    else high = middle;
  }
  return { deviations: high, mass: tailAt(high) };
}
