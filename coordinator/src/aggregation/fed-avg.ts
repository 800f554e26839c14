/**
 * Federated averaging (McMahan et al. 2017, Algorithm 1) as a running float64 sum: memory is one vector,
 * however many clients report.
 */

import type { Weighting } from "@tributary/protocol";
import { clipFactor, l2Norm } from "@tributary/protocol";

import type { Aggregator } from "./aggregator.ts";
import { weightOf } from "./weighting.ts";

export interface FedAvgOptions {
  readonly parameterCount: number;
  readonly weighting: Weighting;
  /** Each delta is scaled into this L2 ball before it is added, whatever its sender claims. */
  readonly clippingNorm?: number;
}

export function createFedAvg({
  parameterCount,
  weighting,
  clippingNorm,
}: FedAvgOptions): Aggregator {
  const sum = new Float64Array(parameterCount);
  let count = 0;
  let totalWeight = 0;
  return {
    get count() {
      return count;
    },
    get totalWeight() {
      return totalWeight;
    },
    add: ({ delta, numExamples }) => {
      if (delta.length !== parameterCount) {
        throw new RangeError(`a delta of ${delta.length} elements for a sum of ${parameterCount}`);
      }
      const weight = weightOf(weighting, numExamples);
      const clip = clippingNorm === undefined ? 1 : clipFactor(l2Norm(delta), clippingNorm);
      const factor = weight * clip;
      if (!Number.isFinite(factor)) throw new RangeError("a delta that is not finite was added");
      for (let i = 0; i < sum.length; i++) {
        sum[i] = (sum[i] as number) + factor * (delta[i] as number);
      }
      totalWeight += weight;
      count += 1;
    },
    sum: () => sum,
    mean: () => {
      if (totalWeight === 0) throw new RangeError("there is no mean of no deltas");
      return sum.map((value) => value / totalWeight);
    },
  };
}
