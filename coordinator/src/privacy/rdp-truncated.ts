/**
 * Renyi divergence of one Gaussian release on a truncated Poisson sample: of the two pairs of
 * `loss-truncated.ts`, of which one is told which it is,
 *
 *     A = (1 - p) A_free + p A_displaced,   RDP(a) = log(A) / (a - 1),   A_i = E_Q_i[(dP_i / dQ_i)^a]
 */

import { logAdd, logExpm1, logOnePlusExp } from "./log-space.ts";
import type { Truncation } from "./loss-truncated.ts";
import { bindingOf, displacedLogRatio } from "./loss-truncated.ts";
import { rdpOfSampledGaussian } from "./rdp.ts";

/** What rounding may hide of a moment of the quadrature below. */
const ROUNDING = 1e-12;

/**
 * RDP epsilon at `order` > 1.
 * @param samplingRate q in [0, 1]
 * @param noiseMultiplier z > 0
 * @throws RangeError outside these ranges
 */
export function rdpOfTruncatedGaussian(
  samplingRate: number,
  noiseMultiplier: number,
  truncation: Truncation,
  order: number,
): number {
  const free = rdpOfSampledGaussian(samplingRate, noiseMultiplier, order);
  if (samplingRate === 0) return 0;
  const { probability, placeRate } = bindingOf(samplingRate, truncation);
  if (probability === 0) return free;
  const displaced = logDisplacedMoment(placeRate, noiseMultiplier / 2, order);
  const excess = logAdd(
    Math.log1p(-probability) + logExpm1((order - 1) * free),
    Math.log(probability) + logExpm1(displaced + ROUNDING),
  );
  return logOnePlusExp(excess) / (order - 1);
}

/**
 * log E_P[(dP / dQ)^(order - 1)] for P = (1 - w) N(0, s^2) + w N(1, s^2), Q its mirror image. The integrand is
 * analytic in a strip about the real line, so the trapezoidal rule is exact to rounding.
 */
function logDisplacedMoment(w: number, s: number, order: number): number {
  // P^a Q^(1 - a) peaks between 0 and a, and falls at least as a normal does beyond.
  const low = -1 - 10 * s;
  const high = order + 10 * s;
  const step = Math.min(s / 4, (s * s) / 2);
  const points = Math.ceil((high - low) / step);
  let sum = -Infinity;
  for (let i = 0; i <= points; i++) {
    const x = low + i * step;
    const none = Math.log1p(-w) - (x * x) / (2 * s * s);
    const shifted = Math.log(w) - ((x - 1) * (x - 1)) / (2 * s * s);
    sum = logAdd(sum, logAdd(none, shifted) + (order - 1) * displacedLogRatio(w, s, x));
  }
  return sum + Math.log(step / (s * Math.sqrt(2 * Math.PI)));
}
