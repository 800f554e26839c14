/** Epsilon as a pure function of the charges: Renyi divergences add up, order by order. */

import { FederatedError } from "@tributary/protocol";

import { epsilonOfRdp, RDP_ORDERS, rdpOfSampledGaussian } from "./rdp.ts";

/** One release: Gaussian noise z on the sum of a Poisson sample of rate q (1: no amplification). */
export interface Charge {
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
}

export interface Spent {
  /** 0 for no charges. */
  readonly epsilon: number;
  /** Renyi order that gave it. */
  readonly order: number;
}

/** @throws FederatedError CONFIG_INVALID for a charge or delta that nothing can be said about */
export function epsilonOf(charges: Iterable<Charge>, delta: number): Spent {
  assertDelta(delta);
  const counts = new Map<string, { charge: Charge; count: number }>();
  for (const charge of charges) {
    const key = `${charge.samplingRate}/${charge.noiseMultiplier}`;
    const seen = counts.get(key);
    if (seen === undefined) counts.set(key, { charge, count: 1 });
    else seen.count += 1;
  }
  if (counts.size === 0) return { epsilon: 0, order: RDP_ORDERS[0] as number };
  const total = RDP_ORDERS.map(() => 0);
  for (const { charge, count } of counts.values()) {
    curveOf(charge).forEach((rdp, i) => {
      total[i] = (total[i] as number) + count * rdp;
    });
  }
  return epsilonOfRdp(total, delta);
}

/** Does the budget cover `next` as well? */
export function canAfford(
  charges: readonly Charge[],
  next: Charge,
  delta: number,
  maxEpsilon: number,
): boolean {
  return epsilonOf([...charges, next], delta).epsilon <= maxEpsilon;
}

/** How many more charges like `next` the budget covers, at most {@link MOST_ROUNDS}. */
export function roundsLeft(
  charges: readonly Charge[],
  next: Charge,
  delta: number,
  maxEpsilon: number,
): number {
  assertDelta(delta);
  const spent = RDP_ORDERS.map(() => 0);
  for (const charge of charges) {
    curveOf(charge).forEach((rdp, i) => {
      spent[i] = (spent[i] as number) + rdp;
    });
  }
  const step = curveOf(next);
  const covers = (rounds: number) =>
    epsilonOfRdp(
      spent.map((rdp, i) => rdp + rounds * (step[i] as number)),
      delta,
    ).epsilon <= maxEpsilon;
  let low = 0;
  let high = MOST_ROUNDS;
  if (covers(high)) return high;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (covers(middle)) low = middle;
    else high = middle;
  }
  return low;
}

export const MOST_ROUNDS = 2 ** 30;

function assertDelta(delta: number): void {
  if (delta > 0 && delta < 1) return;
  throw new FederatedError("CONFIG_INVALID", `delta must be in (0, 1), got ${delta}`);
}

/** The RDP curve of a charge; the same few charges come again and again. */
function curveOf(charge: Charge): readonly number[] {
  const { noiseMultiplier: z, samplingRate: q } = charge;
  if (!(z > 0 && z < Infinity) || !(q >= 0 && q <= 1)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a charge needs noiseMultiplier > 0 and samplingRate in [0, 1], got ${z} and ${q}`,
    );
  }
  return RDP_ORDERS.map((order) => rdpOfSampledGaussian(q, z, order));
}
