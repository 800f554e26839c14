/**
 * Renyi differential privacy of the Poisson-subsampled Gaussian mechanism, add-or-remove-one.
 * Mironov, Talwar, Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism", Theorem 4:
 *
 *     RDP(a) = log(A) / (a - 1),   A = E[(1 + t)^a],   t = q (e^y - 1),   y = u / z - 1 / (2 z^2),   u ~ N(0, 1)
 *
 * A is within rounding of 1 where q is small, so A - 1 is what is computed here, as a sum of terms that
 * are never negative: nothing cancels, and a small divergence is as exact as a large one.
 */

import { logAdd, logExpm1, logOnePlusExp } from "./log-space.ts";

/** Orders at which the curve is followed. */
export const RDP_ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => (11 + i) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  ...[64, 80, 96, 128, 192, 256, 384, 512, 768, 1024],
];

/** Below this z the quadrature would need very many points, and an upper bound takes its place. */
const SMALLEST_QUADRATURE_Z = 0.1;

/**
 * RDP epsilon of one release at `order` > 1.
 * @param samplingRate q in [0, 1]; 1 claims no amplification
 * @param noiseMultiplier z > 0
 * @throws RangeError outside these ranges
 */
export function rdpOfSampledGaussian(
  samplingRate: number,
  noiseMultiplier: number,
  order: number,
): number {
  if (!(samplingRate >= 0 && samplingRate <= 1)) {
    throw new RangeError(`samplingRate must be in [0, 1], got ${samplingRate}`);
  }
  if (!(noiseMultiplier > 0)) {
    throw new RangeError(`noiseMultiplier must be > 0, got ${noiseMultiplier}`);
  }
  if (!(order > 1)) throw new RangeError(`order must be > 1, got ${order}`);
  if (samplingRate === 0) return 0;
  if (samplingRate === 1) return order / (2 * noiseMultiplier ** 2);
  return logMoment(samplingRate, noiseMultiplier, order) / (order - 1);
}

/**
 * The curve of a mechanism of which only the moments at whole orders are known to be bounded by `rdpAt`, as those of
 * the sampled discrete Gaussian are by the continuous one's: each term of the binomial sum is E_Q[(P / Q)^k] <=
 * exp(k (k - 1) / (2 z^2)) (Canonne, Kamath, Steinke 2020, theorem 4). log A = (a - 1) RDP(a) is convex in a and 0 at
 * 1, so that the chord between whole orders bounds what lies between them.
 */
export function onWholeOrders(rdpAt: (order: number) => number): (order: number) => number {
  const logMomentAt = (order: number) => (order === 1 ? 0 : (order - 1) * rdpAt(order));
  return (order) => {
    if (Number.isInteger(order)) return rdpAt(order);
    const below = Math.floor(order);
    const low = logMomentAt(below);
    return (low + (order - below) * (logMomentAt(below + 1) - low)) / (order - 1);
  };
}

/** log A. */
function logMoment(q: number, z: number, order: number): number {
  if (Number.isInteger(order)) return logOnePlusExp(binomialExcess(q, z, order));
  if (z >= SMALLEST_QUADRATURE_Z) return logOnePlusExp(integralExcess(q, z, order));
  // Two upper bounds: log A is convex in the order and 0 at order 1, so the chord between whole orders
  // lies above it; and sampling only helps.
  const below = Math.floor(order);
  const low = below === 1 ? 0 : logMoment(q, z, below);
  const chord = low + (order - below) * (logMoment(q, z, below + 1) - low);
  return Math.min(chord, (order * (order - 1)) / (2 * z * z));
}

/**
 * log(A - 1) at a whole order: sum over k >= 2 of
 * C(order, k) (1 - q)^(order - k) q^k (exp(k (k - 1) / (2 z^2)) - 1); without the exponentials these are
 * the binomial probabilities, which sum to the 1 that is taken off.
 */
function binomialExcess(q: number, z: number, order: number): number {
  const logIn = Math.log(q);
  const logOut = Math.log1p(-q);
  let logBinomial = Math.log(order);
  let sum = -Infinity;
  for (let k = 2; k <= order; k++) {
    logBinomial += Math.log((order - k + 1) / k);
    const growth = logExpm1((k * (k - 1)) / (2 * z * z));
    sum = logAdd(sum, logBinomial + (order - k) * logOut + k * logIn + growth);
  }
  return sum;
}

/**
 * log(A - 1) at any order: E[(1 + t)^a - 1 - a t], which takes off a E[t] = 0 and leaves an integrand
 * that is never negative (Bernoulli). It is analytic within pi z of the real line, so the trapezoidal
 * rule with this step is exact to about 1e-15, and nothing of that size lies outside the interval.
 */
function integralExcess(q: number, z: number, order: number): number {
  const step = Math.min(0.5, z / 2);
  const points = Math.ceil((order / z + 18) / step);
  let sum = -Infinity;
  for (let i = 0; i <= points; i++) {
    const u = i * step - 9;
    sum = logAdd(sum, logBernoulliGap(q, u / z - 1 / (2 * z * z), order) - (u * u) / 2);
  }
  return sum + Math.log(step) - 0.5 * Math.log(2 * Math.PI);
}

/** log((1 + t)^a - 1 - a t) with t = q (e^y - 1); e^y may be beyond a double. */
function logBernoulliGap(q: number, y: number, a: number): number {
  const t = q * Math.expm1(y);
  if (Math.abs(a * t) < 0.1) return gapSeries(t, a);
  const beyond = a * t === Infinity;
  const logGrowth = a * (beyond ? Math.log(q) + y : Math.log1p(t));
  if (logGrowth < 1) return Math.log(Math.expm1(logGrowth) - a * t);
  const logLinear = beyond ? Math.log(a * q) + y : Math.log1p(a * t);
  return logGrowth + Math.log1p(-Math.exp(logLinear - logGrowth));
}

/** The same for small t, from its binomial series t^2 (C(a, 2) + C(a, 3) t + …). */
function gapSeries(t: number, a: number): number {
  let term = (a * (a - 1)) / 2;
  let sum = term;
  for (let k = 2; Math.abs(term) > 1e-17 * sum; k++) {
    term *= (t * (a - k)) / (k + 1);
    sum += term;
  }
  return 2 * Math.log(Math.abs(t)) + Math.log(sum);
}

/**
 * The smallest epsilon over all orders: Canonne, Kamath, Steinke 2020, "The Discrete Gaussian for
 * Differential Privacy", Proposition 12. Infinity when no order gives one.
 * @param rdp one value for each of {@link RDP_ORDERS}
 */
export function epsilonOfRdp(
  rdp: readonly number[],
  delta: number,
): { readonly epsilon: number; readonly order: number } {
  let best = { epsilon: Infinity, order: RDP_ORDERS[0] as number };
  RDP_ORDERS.forEach((order, i) => {
    const epsilon = epsilonAtOrder(rdp[i] as number, order, delta);
    if (epsilon < best.epsilon) best = { epsilon, order };
  });
  return best;
}

/** The same of one order: an upper bound at `delta` of whatever is (order, rdp)-RDP. */
export function epsilonAtOrder(rdp: number, order: number, delta: number): number {
  // KL is at most the divergence of any order, and total variation at most sqrt(1 - exp(-KL))
  // (Bretagnolle-Huber): below delta already at epsilon 0.
  if (delta * delta + Math.expm1(-rdp) > 0) return 0;
  const epsilon = rdp + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1);
  return Math.max(0, epsilon);
}
