/** Epsilon as a pure function of the charges: Renyi divergences add up, order by order. */

import { FederatedError } from "@tributary/protocol";

import { epsilonOfRdp, RDP_ORDERS, rdpOfSampledGaussian } from "./rdp.ts";

/** One release: Gaussian noise z on the sum of a Poisson sample of rate q (1: no amplification). */
export interface Charge {
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
}

export interface Spent {
  /** 0 for no charges, Infinity where no order gives a bound. */
  readonly epsilon: number;
  /** Renyi order that gave it. */
  readonly order: number;
}

/** Rounds beyond which {@link roundsLeft} does not count. */
export const MOST_ROUNDS = 2 ** 30;

/**
 * What all charges together cost, at `delta`; their order does not matter.
 * @throws FederatedError CONFIG_INVALID for a charge or delta that nothing can be said about
 */
export function epsilonOf(charges: Iterable<Charge>, delta: number): Spent {
  assertDelta(delta);
  return epsilonOfRdp(totalCurve(charges), delta);
}

/** Does the budget cover `next` as well? @throws FederatedError CONFIG_INVALID as {@link epsilonOf} */
export function canAfford(
  charges: Iterable<Charge>,
  next: Charge,
  delta: number,
  maxEpsilon: number,
): boolean {
  const { epsilon } = epsilonOf([...charges, next], delta);
  return Number.isFinite(epsilon) && epsilon <= maxEpsilon;
}

/**
 * How many more charges like `next` the budget covers, at most {@link MOST_ROUNDS}.
 * @throws FederatedError CONFIG_INVALID as {@link epsilonOf}
 */
export function roundsLeft(
  charges: Iterable<Charge>,
  next: Charge,
  delta: number,
  maxEpsilon: number,
): number {
  assertDelta(delta);
  const spent = totalCurve(charges);
  const step = curveOf(next);
  const covers = (rounds: number) => {
    const total = spent.map((rdp, i) => rdp + rounds * (step[i] as number));
    const { epsilon } = epsilonOfRdp(total, delta);
    return Number.isFinite(epsilon) && epsilon <= maxEpsilon;
  };
  if (covers(MOST_ROUNDS)) return MOST_ROUNDS;
  // Covered at `low` or nothing is, not covered at `high`.
  let low = 0;
  let high = MOST_ROUNDS;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (covers(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Sum of the charges' curves; equal charges are worked out once. Zeros for none. */
function totalCurve(charges: Iterable<Charge>): readonly number[] {
  const groups = new Map<string, { readonly charge: Charge; count: number }>();
  for (const charge of charges) {
    const key = `${charge.samplingRate}/${charge.noiseMultiplier}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { charge, count: 1 });
    else group.count += 1;
  }
  const total = RDP_ORDERS.map(() => 0);
  for (const { charge, count } of groups.values()) {
    curveOf(charge).forEach((rdp, i) => {
      total[i] = (total[i] as number) + count * rdp;
    });
  }
  return total;
}

/** RDP of one charge at each of the orders. */
function curveOf({ noiseMultiplier: z, samplingRate: q }: Charge): readonly number[] {
  if (!(z > 0 && z < Infinity) || !(q >= 0 && q <= 1)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a charge needs noiseMultiplier > 0 and samplingRate in [0, 1], got ${z} and ${q}; ` +
        "correct the task's privacy and sampler",
    );
  }
  return RDP_ORDERS.map((order) => rdpOfSampledGaussian(q, z, order));
}

function assertDelta(delta: number): void {
  if (delta > 0 && delta < 1) return;
  throw new FederatedError(
    "CONFIG_INVALID",
    `delta must be in (0, 1), got ${delta}; set it below 1 / number of clients`,
  );
}
