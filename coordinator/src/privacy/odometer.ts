/**
 * Budgets that hold whatever the charges were chosen by, also by what was released before. The privacy loss
 * distribution may not be used there, nor may the best order be picked afterwards for free.
 *
 * Feldman and Zrnic 2021, "Individual Privacy Accounting via a Renyi Filter", Theorem 4.3: at one order a, fixed
 * beforehand, a run that is stopped before the sum of its RDP(a) exceeds B is (a, B)-RDP. Several orders at once,
 * or several sums, share delta by the union bound (as Lecuyer 2021, "Practical Privacy Filters and Odometers with
 * Renyi Differential Privacy").
 */

import { FederatedError } from "@tributary/protocol";

import { assertDelta, curveOfCharge } from "./accountant.ts";
import type { Charge } from "./charge.ts";
import { epsilonAtOrder, epsilonOfRdp, RDP_ORDERS } from "./rdp.ts";

export interface RdpOdometer {
  /** Adds a charge, made `count` times. @throws FederatedError CONFIG_INVALID */
  add(charge: Charge, count?: number): void;
  /** Upper bound for charges that were fixed beforehand, or chosen without a look at what was released. */
  epsilon(delta: number): number;
  /**
   * Upper bound that holds at every moment at once, whatever the charges were chosen by: with
   * epsilon_(a, j) = conversion of (a, s r^j)-RDP at delta / (#orders (j + 1) (j + 2)), the least one over the
   * orders a, each with the first j for which s r^j is at least its sum.
   */
  adaptiveEpsilon(delta: number): number;
}

/** The least sum that is told apart, s, and the ratio of one to the next, r. */
const LEAST_SUM = 1e-4;
const SUM_RATIO = 1.1;

export function createRdpOdometer(): RdpOdometer {
  const sums = RDP_ORDERS.map(() => 0);
  return {
    add: (charge, count = 1) => {
      assertCount(count);
      addInto(sums, curveOfCharge(charge), count);
    },
    epsilon: (delta) => {
      assertDelta(delta);
      return epsilonOfRdp(sums, delta).epsilon;
    },
    adaptiveEpsilon: (delta) => {
      assertDelta(delta);
      if (sums.every((sum) => sum === 0)) return 0;
      let least = Infinity;
      RDP_ORDERS.forEach((order, i) => {
        const sum = sums[i] as number;
        if (!(sum < Infinity)) return;
        let j = Math.max(0, Math.floor(Math.log(sum / LEAST_SUM) / Math.log(SUM_RATIO)));
        while (LEAST_SUM * SUM_RATIO ** j < sum) j += 1;
        // 1 / 2 + 1 / 6 + 1 / 12 + … = 1.
        const share = delta / (RDP_ORDERS.length * (j + 1) * (j + 2));
        least = Math.min(least, epsilonAtOrder(LEAST_SUM * SUM_RATIO ** j, order, share));
      });
      return least;
    },
  };
}

export interface RdpFilterOptions {
  readonly maxEpsilon: number;
  readonly delta: number;
  /** The one order, of {@link RDP_ORDERS}, that is followed; absent: all of them, each with its share of delta. */
  readonly order?: number;
}

export interface RdpFilter {
  /**
   * Takes the charge if everything taken so far stays within the budget with it. Where the answer is false nothing
   * was taken, and nothing may be released.
   * @throws FederatedError CONFIG_INVALID for a charge that nothing can be said about
   */
  spend(charge: Charge): boolean;
  /** Would {@link spend} take it? */
  affords(charge: Charge): boolean;
  /** How far the budget is used. What is promised, whatever comes, is `maxEpsilon`. */
  epsilon(): number;
}

/** @throws FederatedError CONFIG_INVALID for a budget that is none, or an order that is not followed */
export function createRdpFilter({ maxEpsilon, delta, order }: RdpFilterOptions): RdpFilter {
  assertDelta(delta);
  if (!(maxEpsilon > 0 && maxEpsilon < Infinity)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a budget needs maxEpsilon > 0 and finite, got ${maxEpsilon}`,
    );
  }
  if (order !== undefined && !RDP_ORDERS.includes(order)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `order ${order} is not followed; choose one of RDP_ORDERS, or none`,
    );
  }
  const isFollowed = (a: number) => order === undefined || a === order;
  const share = delta / RDP_ORDERS.filter(isFollowed).length;
  const sums = RDP_ORDERS.map(() => 0);
  const costOf = (of: readonly number[]): number => {
    if (of.every((sum) => sum === 0)) return 0;
    const costs = RDP_ORDERS.map((a, i) =>
      isFollowed(a) ? epsilonAtOrder(of[i] as number, a, share) : Infinity,
    );
    return Math.min(...costs);
  };
  const withCharge = (charge: Charge): number[] => {
    const next = [...sums];
    addInto(next, curveOfCharge(charge), 1);
    return next;
  };
  const isWithin = (of: readonly number[]) => costOf(of) <= maxEpsilon;
  return {
    affords: (charge) => isWithin(withCharge(charge)),
    spend: (charge) => {
      const next = withCharge(charge);
      if (!isWithin(next)) return false;
      next.forEach((sum, i) => (sums[i] = sum));
      return true;
    },
    epsilon: () => costOf(sums),
  };
}

function addInto(sums: number[], curve: readonly number[], count: number): void {
  curve.forEach((rdp, i) => (sums[i] = (sums[i] as number) + count * rdp));
}

function assertCount(count: number): void {
  if (Number.isSafeInteger(count) && count >= 0) return;
  throw new FederatedError("CONFIG_INVALID", `count must be a whole number >= 0, got ${count}`);
}
