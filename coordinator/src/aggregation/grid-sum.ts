/**
 * The exact sum of a private round, in whole steps of a public grid: every delta is clipped as a whole, rounded to the
 * grid and added. Whole numbers below 2^53 add without error, so the sum does not depend on the order of arrival, and
 * one client changes it by no more than its bound says, to the last bit (Casacuberta et al. 2022).
 */

import { clipFactor } from "@tributary/protocol";

import type { Grid } from "../privacy/grid.ts";
import type { Aggregator } from "./aggregator.ts";
import { assertLength } from "./encoded-delta.ts";
import type { SlotOptions } from "./kernel/delta-sum.ts";
import { normOf, openDeltaSum } from "./kernel/open-kernel.ts";

/** There is no mean of it: what is released goes through a mechanism. */
export interface GridSum extends Aggregator {
  readonly kind: "grid";
  readonly grid: Grid;
  /** The live sum, in steps of the grid: whole numbers below 2^53. A secret until noise is on it. */
  sum(): Float64Array;
}

/** Rounding error of one operation in float64. */
const ROUND_OFF = 2 ** -53;

/** Weights are uniform: a weight would scale what one client can change. */
export function createGridSum(grid: Grid, slots: SlotOptions = {}): GridSum {
  const { clippingNorm, parameterCount, step, mostSummands } = grid;
  const deltas = openDeltaSum(parameterCount, { ...slots, whole: true });
  let count = 0;
  return {
    kind: "grid",
    grid,
    slots: deltas.slots,
    get count() {
      return count;
    },
    add: ({ delta, norm = normOf(delta) }) => {
      assertLength(delta, parameterCount);
      const factor = clipFactor(atLeastNorm(norm, parameterCount), clippingNorm);
      if (!(factor >= 0)) throw new RangeError("a delta that is not finite cannot be added");
      if (count >= mostSummands) {
        throw new RangeError(`an exact sum has room for ${mostSummands} deltas, and has as many`);
      }
      deltas.add(delta, factor / step);
      count += 1;
    },
    sum: () => deltas.sum(),
    close: () => deltas.close(),
  };
}

/**
 * The norm, or a hair more: never less than it is. Summing d squares in float64 loses at most (d - 1) round-offs of
 * the sum (Higham 2002, section 3.1), half as many of the root; the rest pays for scaling and for the noise's own figure.
 */
function atLeastNorm(norm: number, elements: number): number {
  return norm * (1 + (elements + 16) * ROUND_OFF);
}
