/** What the updates of a round are added to, and by which mechanism it is released. */

import type { TaskSpec } from "@tributary/protocol";

import type { MeanAggregator } from "../aggregation/aggregator.ts";
import { createFedAvg } from "../aggregation/fed-avg.ts";
import { mostNoisyNorm } from "../aggregation/noisy-update.ts";
import type { GridSum } from "../aggregation/grid-sum.ts";
import { createGridSum } from "../aggregation/grid-sum.ts";
import type { TaskRecord } from "../ports.ts";
import type { ReleaseMechanism } from "../privacy/gaussian-mechanism.ts";
import { centralGaussian } from "../privacy/gaussian-mechanism.ts";
import type { Grid } from "../privacy/grid.ts";
import { createGrid } from "../privacy/grid.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { expectedReportsOf } from "./budget.ts";

/** A private task has no mean to be taken by mistake. */
export type RoundSum = MeanAggregator | GridSum;

/** An empty sum for the next round. */
export function openSum({ spec, layout: { parameterCount } }: TaskRecord): RoundSum {
  const { privacy, clippingNorm, weighting } = spec;
  if (privacy.mechanism === "none") {
    return createFedAvg({
      parameterCount,
      weighting,
      ...(clippingNorm === undefined ? {} : { clippingNorm }),
    });
  }
  const { noiseMultiplier } = privacy;
  if (privacy.mechanism === "local") {
    // Whole steps of a grid, each number: below 2^53 of them the sum is exact, in whatever order.
    const settings = { noiseMultiplier, clippingNorm: clippingNorm ?? Number.NaN };
    const norm = mostNoisyNorm(settings, parameterCount);
    return createFedAvg({ parameterCount, weighting, clippingNorm: norm });
  }
  return createGridSum(
    createGrid({ noiseMultiplier, clippingNorm: clippingNorm ?? Number.NaN, parameterCount }),
  );
}

/** How a private sum becomes a mean that may be published. */
export function mechanismOf(spec: TaskSpec, grid: Grid, noise: IntegerNoise): ReleaseMechanism {
  // Independent noise would be none of what a run of correlated noise accounts for.
  if (spec.privacy.mechanism === "matrix") throw new Error("a matrix run is released in steps");
  return centralGaussian({ grid, expectedReports: expectedReportsOf(spec) }, noise);
}
