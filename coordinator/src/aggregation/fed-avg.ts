/**
 * Federated averaging (McMahan et al. 2017, Algorithm 1) as a running float64 sum: memory is one vector,
 * however many clients report.
 */

import type { Weighting } from "@tributary/protocol";
import { clipFactor } from "@tributary/protocol";

import type { MeanAggregator } from "./aggregator.ts";
import { assertLength } from "./encoded-delta.ts";
import type { SlotOptions } from "./kernel/delta-sum.ts";
import { normOf, openDeltaSum } from "./kernel/open-kernel.ts";
import type { Slices } from "./slices.ts";
import { atOnce } from "./slices.ts";
import { weightOf } from "./weighting.ts";

export interface FedAvgOptions extends SlotOptions {
  readonly parameterCount: number;
  readonly weighting: Weighting;
  /** Each delta is scaled into this L2 ball before it is added, whatever its sender claims. */
  readonly clippingNorm?: number;
}

export function createFedAvg({
  parameterCount,
  weighting,
  clippingNorm,
  ...slots
}: FedAvgOptions): MeanAggregator {
  const deltas = openDeltaSum(parameterCount, slots);
  let count = 0;
  let totalWeight = 0;
  return {
    kind: "mean",
    slots: deltas.slots,
    get count() {
      return count;
    },
    get totalWeight() {
      return totalWeight;
    },
    add: ({ delta, numExamples, norm }) => {
      assertLength(delta, parameterCount);
      const weight = weightOf(weighting, numExamples);
      const clip = clippingNorm === undefined ? 1 : clipFactor(norm ?? normOf(delta), clippingNorm);
      const factor = weight * clip;
      // A factor of 0 is a delta clipped to nothing, below the smallest number there is.
      if (!(weight > 0 && factor >= 0 && factor < Infinity)) {
        throw new RangeError(
          `a delta cannot count ${factor} times; it must be finite and trained on an example`,
        );
      }
      deltas.add(delta, factor);
      totalWeight += weight;
      count += 1;
    },
    sum: () => deltas.sum(),
    mean: (denominator) => atOnce(meanSlices(denominator)),
    meanSlices,
    close: () => deltas.close(),
  };

  function* meanSlices(denominator = totalWeight): Slices<Float64Array> {
    if (!(denominator > 0 && denominator < Infinity)) {
      throw new RangeError(`there is no mean of ${count} deltas over ${denominator}`);
    }
    return yield* deltas.divide(denominator);
  }
}
