/**
 * Renyi differential privacy of the Poisson-subsampled Gaussian mechanism, add-or-remove-one.
 * Mironov, Talwar, Zhang 2019, "Renyi Differential Privacy of the Sampled Gaussian Mechanism",
 * sections 3.2 (integer orders) and 3.3 (fractional orders, with signed binomials).
 * Conversion to (epsilon, delta): Canonne, Kamath, Steinke 2020, Proposition 12.
 */

import { logAdd, logErfc, logGamma, logSubtract } from "./special-functions.ts";

/** Orders at which the curve is followed. */
export const RDP_ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => (11 + i) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  ...[64, 80, 96, 128, 192, 256, 384, 512, 768, 1024],
];

/**
 * RDP epsilon of one release at `order` > 1.
 * @param samplingRate q in [0, 1]; 1 claims no amplification
 * @param noiseMultiplier z > 0
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
  const logMoment = Number.isInteger(order)
    ? integerMoment(samplingRate, noiseMultiplier, order)
    : fractionalMoment(samplingRate, noiseMultiplier, order);
  return Math.max(0, logMoment / (order - 1));
}

/** log sum_k C(order, k) (1 - q)^(order - k) q^k exp(k (k - 1) / (2 z^2)) */
function integerMoment(q: number, z: number, order: number): number {
  let sum = -Infinity;
  let logBinomial = 0;
  for (let k = 0; k <= order; k++) {
    const term =
      logBinomial + (order - k) * Math.log1p(-q) + k * Math.log(q) + (k * (k - 1)) / (2 * z * z);
    sum = logAdd(sum, term);
    logBinomial += Math.log((order - k) / (k + 1));
  }
  return sum;
}

/** Two series, one from each side of the point where both densities are equal; their terms alternate in sign. */
function fractionalMoment(q: number, z: number, order: number): number {
  const crossing = z * z * Math.log(1 / q - 1) + 0.5;
  const root = Math.SQRT2 * z;
  let positive = -Infinity;
  let negative = -Infinity;
  const add = (sign: number, log: number) => {
    if (sign > 0) positive = logAdd(positive, log);
    else negative = logAdd(negative, log);
  };
  for (let i = 0; i < 10_000; i++) {
    const j = order - i;
    const { log: logBinomial, sign } = binomial(order, i);
    const half = Math.LN2;
    const left =
      logBinomial +
      i * Math.log(q) +
      j * Math.log1p(-q) +
      (i * i - i) / (2 * z * z) -
      half +
      logErfc((i - crossing) / root);
    const right =
      logBinomial +
      j * Math.log(q) +
      i * Math.log1p(-q) +
      (j * j - j) / (2 * z * z) -
      half +
      logErfc((crossing - j) / root);
    add(sign, left);
    add(sign, right);
    if (i > order && Math.max(left, right) < positive - 40) break;
  }
  return logSubtract(positive, negative);
}

/** log |C(a, i)| and its sign, for real a. */
function binomial(a: number, i: number): { readonly log: number; readonly sign: number } {
  const top = logGamma(a + 1);
  const low = logGamma(i + 1);
  const rest = logGamma(a - i + 1);
  return { log: top.log - low.log - rest.log, sign: top.sign * low.sign * rest.sign };
}

/** The smallest epsilon over all orders. @param rdp one value for each of {@link RDP_ORDERS} */
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

function epsilonAtOrder(rdp: number, order: number, delta: number): number {
  // Total variation from KL divergence (Bretagnolle-Huber): at epsilon 0 already below delta.
  if (delta * delta + Math.expm1(-rdp) > 0) return 0;
  const epsilon = rdp + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1);
  return Math.max(0, epsilon);
}
