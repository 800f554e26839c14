/**
 * The sum of a private round whose clipping norm follows a quantile: beside the deltas on their grid one more exact
 * whole number, the clients' bits "my norm is at most C". The norm is that of the delta as it came, before it is
 * clipped and rounded.
 */

import { bitOfNorm } from "../privacy/adaptive-clipping.ts";
import type { Grid } from "../privacy/grid.ts";
import type { GridSum } from "./grid-sum.ts";
import { createGridSum } from "./grid-sum.ts";
import type { SlotOptions } from "./kernel/delta-sum.ts";
import { normOf } from "./kernel/open-kernel.ts";

export interface AdaptiveSum extends Omit<GridSum, "kind"> {
  readonly kind: "adaptive";
  /** The live sum of bits in halves, as one element. A secret until noise is on it. */
  bits(): Float64Array;
}

export function createAdaptiveSum(grid: Grid, slots: SlotOptions = {}): AdaptiveSum {
  const deltas = createGridSum(grid, slots);
  const halves = new Float64Array(1);
  return {
    kind: "adaptive",
    grid,
    slots: deltas.slots,
    get count() {
      return deltas.count;
    },
    add: (input) => {
      const norm = input.norm ?? normOf(input.delta);
      const bit = bitOfNorm(norm, grid.clippingNorm);
      // A delta that is refused has no bit either.
      deltas.add({ ...input, norm });
      halves[0] = (halves[0] ?? 0) + bit;
    },
    sum: () => deltas.sum(),
    bits: () => halves,
    close: () => deltas.close(),
  };
}
