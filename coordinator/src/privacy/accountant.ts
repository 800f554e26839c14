/**
 * Epsilon as a pure function of the charges: the smaller of two upper bounds, of Renyi divergences (`rdp.ts`,
 * fast, holds also where charges are chosen adaptively) and of the privacy loss distribution (`pld.ts`, tight).
 */

import { FederatedError } from "@tributary/protocol";

import type { Charge, ChargeGroup, ReleaseGroup } from "./charge.ts";
import { groupCharges, releasesOf } from "./charge.ts";
import { curveOf, lossOf } from "./computed.ts";
import { epsilonOfRdp, RDP_ORDERS } from "./rdp.ts";

export type { Charge } from "./charge.ts";

/** Which of the two bounds was the smaller one. */
export type AccountantName = "rdp" | "pld";

export interface Spent {
  /** 0 for no charges, Infinity where nothing gives a bound. */
  readonly epsilon: number;
  readonly accountant: AccountantName;
}

/** Rounds beyond which {@link roundsLeft} does not count. */
export const MOST_ROUNDS = 2 ** 30;

/**
 * What all charges together cost, at `delta`; their order does not matter.
 * @throws FederatedError CONFIG_INVALID for a charge or delta that nothing can be said about
 */
export function epsilonOf(charges: Iterable<Charge>, delta: number): Spent {
  return epsilonOfGroups(groupCharges(charges), delta);
}

/** The same for equal charges, counted. @throws FederatedError CONFIG_INVALID as {@link epsilonOf} */
export function epsilonOfGroups(groups: readonly ChargeGroup[], delta: number): Spent {
  const renyi = renyiEpsilonOfGroups(groups, delta);
  // A sample of nobody costs nothing.
  const costly = releasesOf(groups).filter(
    ({ samplingRate, count }) => samplingRate > 0 && count > 0,
  );
  if (costly.length === 0 || renyi.epsilon === 0 || renyi.epsilon === Infinity) {
    return { epsilon: renyi.epsilon, accountant: "rdp" };
  }
  // The loss of many discrete elements together is not that of one.
  if (costly.some(({ isDiscrete }) => isDiscrete)) {
    return { epsilon: renyi.epsilon, accountant: "rdp" };
  }
  const loss = lossOf({ releases: costly, delta, hint: renyi });
  return loss < renyi.epsilon
    ? { epsilon: loss, accountant: "pld" }
    : { epsilon: renyi.epsilon, accountant: "rdp" };
}

/** The Renyi bound alone, with the order that gave it. @throws FederatedError CONFIG_INVALID */
export function renyiEpsilonOfGroups(
  groups: readonly ChargeGroup[],
  delta: number,
): { readonly epsilon: number; readonly order: number } {
  assertDelta(delta);
  return epsilonOfRdp(totalCurve(releasesOf(groups)), delta);
}

/** Does the budget cover `next` as well? @throws FederatedError CONFIG_INVALID as {@link epsilonOf} */
export function canAfford(
  charges: Iterable<Charge>,
  next: Charge,
  delta: number,
  maxEpsilon: number,
): boolean {
  const groups = groupCharges([...charges, next]);
  return (
    isWithin(renyiEpsilonOfGroups(groups, delta).epsilon, maxEpsilon) ||
    isWithin(epsilonOfGroups(groups, delta).epsilon, maxEpsilon)
  );
}

/**
 * How many charges like `next` the budget covers on top of `charges`, at most {@link MOST_ROUNDS}.
 * @throws FederatedError CONFIG_INVALID as {@link epsilonOf}
 */
export function roundsLeft(
  charges: Iterable<Charge>,
  next: Charge,
  delta: number,
  maxEpsilon: number,
): number {
  assertDelta(delta);
  const spent = groupCharges(charges);
  const spentCurve = totalCurve(releasesOf(spent));
  const stepCurve = curveOfCharge(next);
  const byRenyi = (rounds: number) => {
    const total = spentCurve.map((rdp, i) => rdp + rounds * (stepCurve[i] as number));
    return isWithin(epsilonOfRdp(total, delta).epsilon, maxEpsilon);
  };
  const byEither = (rounds: number) =>
    byRenyi(rounds) ||
    isWithin(
      epsilonOfGroups([...spent, { charge: next, count: rounds }], delta).epsilon,
      maxEpsilon,
    );

  if (!byEither(0)) return 0;
  // Renyi divergences are quick to compute and give a number that the tight bound only raises.
  const least = greatest(0, MOST_ROUNDS, byRenyi);
  let low = least;
  let step = Math.max(1, Math.ceil(least / 8));
  while (low + step <= MOST_ROUNDS && byEither(low + step)) {
    low += step;
    step *= 2;
  }
  return greatest(low, Math.min(MOST_ROUNDS, low + step - 1), byEither);
}

/** The greatest number from `low` (taken to hold) to `high` that holds, where all up to it do. */
function greatest(low: number, high: number, holds: (value: number) => boolean): number {
  let good = low;
  let bad = high + 1;
  if (high > low && holds(high)) return high;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (holds(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

const isWithin = (epsilon: number, maxEpsilon: number): boolean =>
  Number.isFinite(epsilon) && epsilon <= maxEpsilon;

/** RDP of one charge at each of {@link RDP_ORDERS}. @throws FederatedError CONFIG_INVALID as {@link epsilonOf} */
export const curveOfCharge = (charge: Charge): readonly number[] =>
  totalCurve(releasesOf([{ charge, count: 1 }]));

/** Sum of the charges' curves. Zeros for none. */
function totalCurve(releases: readonly ReleaseGroup[]): readonly number[] {
  const total = RDP_ORDERS.map(() => 0);
  for (const release of releases) {
    curveOf(release).forEach((rdp, i) => {
      total[i] = (total[i] as number) + release.count * rdp;
    });
  }
  return total;
}

/** @throws FederatedError CONFIG_INVALID */
export function assertDelta(delta: number): void {
  if (delta > 0 && delta < 1) return;
  throw new FederatedError(
    "CONFIG_INVALID",
    `delta must be in (0, 1), got ${delta}; set it below 1 / number of clients`,
  );
}
