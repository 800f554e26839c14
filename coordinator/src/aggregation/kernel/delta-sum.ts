/** A sum of encoded deltas in float64, and the norms of what is to be added. */

import type { EncodedDelta } from "../encoded-delta.ts";
import type { SlotPool } from "../update-slots.ts";

export interface DeltaSum {
  readonly slots: SlotPool;
  /**
   * sum += factor * delta, each element rounded to a whole number first where the sum is one of whole numbers (ties
   * to even, for |factor * element| <= 2^51). The delta has been measured; of one outside the sum's slots nothing
   * is kept.
   */
  add(delta: EncodedDelta, factor: number): void;
  /** The live sum, with everything that was added. */
  sum(): Float64Array;
}
