/** What every aggregator is: clients' deltas go in one by one. What may come out depends on the kind. */

import type { EncodedDelta } from "./encoded-delta.ts";
import type { Slices } from "./slices.ts";
import type { SlotPool } from "./update-slots.ts";

export interface AggregatorInput {
  /** trained - received, validated. One that lies in a slot of this aggregator belongs to it from now on; any other is not kept. */
  readonly delta: EncodedDelta;
  readonly numExamples: number;
  /** L2 norm of the delta as `validateUpdate` measured it; absent: it is measured when it is added. */
  readonly norm?: number;
}

export interface Aggregator {
  /** Deltas added so far. */
  readonly count: number;
  /** Where uploads may be put, so that they need not be copied. */
  readonly slots: SlotPool;
  /** @throws RangeError for another length, a senseless weight or no room; the sum is as it was then */
  add(input: AggregatorInput): void;
  /**
   * Its round has ended: nothing can be added or read any more, and what it gave is not to be looked at. Its memory may
   * be that of another round as soon as whoever has a slot has released it.
   */
  close(): void;
}

/** Of a task without privacy: the mean itself is released. */
export interface MeanAggregator extends Aggregator {
  readonly kind: "mean";
  /** Sum of the weights. */
  readonly totalWeight: number;
  /** The live weighted sum of the deltas. */
  sum(): Float64Array;
  /**
   * sum / denominator, in memory of the sum, which is none from then on: it is made once, and lives until `close`. The
   * denominator is `totalWeight` unless a public one is given, which does not depend on who reported.
   * @throws RangeError when it is not positive and finite, as without any delta; the sum is as it was then
   */
  mean(denominator?: number): Float64Array;
  /** The same in slices. */
  meanSlices(denominator?: number): Slices<Float64Array>;
}
