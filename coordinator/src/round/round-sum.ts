/** What the updates of a round are added to, and by which mechanism it is released. */

import type { TaskSpec } from "@tributary/protocol";
import { maxPayloadBytes } from "@tributary/protocol";

import type { AdaptiveSum } from "../aggregation/adaptive-sum.ts";
import { createAdaptiveSum } from "../aggregation/adaptive-sum.ts";
import type { MeanAggregator } from "../aggregation/aggregator.ts";
import { createFedAvg } from "../aggregation/fed-avg.ts";
import { mostNoisyNorm } from "../aggregation/noisy-update.ts";
import type { GridSum } from "../aggregation/grid-sum.ts";
import { createGridSum } from "../aggregation/grid-sum.ts";
import type { SumMemories } from "../aggregation/kernel/sum-memories.ts";
import type { RobustSum } from "../aggregation/robust/robust-sum.ts";
import { createRobustSum } from "../aggregation/robust/robust-sum.ts";
import type { TaskRecord } from "../ports.ts";
import { halvesNoiseStddev, nextClippingNorm, shareBelow } from "../privacy/adaptive-clipping.ts";
import type { ReleaseMechanism } from "../privacy/gaussian-mechanism.ts";
import { centralGaussian } from "../privacy/gaussian-mechanism.ts";
import type { Grid } from "../privacy/grid.ts";
import { createGrid } from "../privacy/grid.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { expectedReportsOf } from "./budget.ts";
import { adaptiveClippingOf, clippingFacts } from "./clipping.ts";
import type { RoundIdentity } from "./progress.ts";

/** A private task has no mean to be taken by mistake. */
export type RoundSum = MeanAggregator | RobustSum | GridSum | AdaptiveSum;

/** An empty sum for the round, in memory of rounds that have ended, if there is some. */
export function openSum(
  { spec, layout: { parameterCount } }: TaskRecord,
  round: Pick<RoundIdentity, "clippingNorm">,
  memories?: SumMemories,
): RoundSum {
  const { privacy, clippingNorm, weighting, aggregation: rule } = spec;
  const slots = {
    slotBytes: maxPayloadBytes(spec.plan.encoding, parameterCount),
    ...(memories === undefined ? {} : { memories }),
  };
  const clip = clippingNorm === undefined ? {} : { clippingNorm };
  if (rule.kind !== "mean") {
    if (privacy.mechanism !== "none") throw new Error("a private task has no robust aggregation");
    return createRobustSum({ rule, parameterCount, ...clip });
  }
  if (privacy.mechanism === "none") {
    return createFedAvg({ parameterCount, weighting, ...slots, ...clip });
  }
  const clipping = clippingFacts(spec);
  if (clipping !== undefined) {
    // The grid is as fine for the norm of this round as for any other.
    const { clippingNorm = Number.NaN } = round;
    const { deltaNoiseMultiplier: noiseMultiplier } = clipping;
    return createAdaptiveSum(createGrid({ noiseMultiplier, clippingNorm, parameterCount }), slots);
  }
  const { noiseMultiplier } = privacy;
  if (privacy.mechanism === "local") {
    // Whole steps of a grid, each number: below 2^53 of them the sum is exact, in whatever order.
    const settings = { noiseMultiplier, clippingNorm: clippingNorm ?? Number.NaN };
    const norm = mostNoisyNorm(settings, parameterCount);
    return createFedAvg({ parameterCount, weighting, ...slots, clippingNorm: norm });
  }
  return createGridSum(
    createGrid({ noiseMultiplier, clippingNorm: clippingNorm ?? Number.NaN, parameterCount }),
    slots,
  );
}

/** How a private sum becomes a mean that may be published. */
export function mechanismOf(spec: TaskSpec, grid: Grid, noise: IntegerNoise): ReleaseMechanism {
  // Independent noise would be none of what a run of correlated noise accounts for.
  if (spec.privacy.mechanism === "matrix") throw new Error("a matrix run is released in steps");
  return centralGaussian({ grid, expectedReports: expectedReportsOf(spec) }, noise);
}

/**
 * The norm for the next round, from the noisy count of this round's bits (`privacy/adaptive-clipping.ts`).
 * @throws when noise or norm is not what it must be: nothing is released then
 */
export async function followNorm(
  spec: TaskSpec,
  sum: AdaptiveSum,
  noise: IntegerNoise,
): Promise<number> {
  const clipping = adaptiveClippingOf(spec);
  if (clipping === undefined) throw new Error("only under adaptive clipping does a norm follow");
  const noisy = sum.bits().slice();
  await noise.add(noisy, halvesNoiseStddev(clipping));
  const share = shareBelow(noisy[0] ?? Number.NaN, expectedReportsOf(spec));
  return nextClippingNorm(sum.grid.clippingNorm, share, clipping);
}
