/**
 * The robust rules: many updates in, one out, which few liars cannot move far, whatever they send. Pure.
 *
 * Coordinate-wise median and trimmed mean (Yin et al. 2018), Krum and multi-Krum (Blanchard et al. 2017), the geometric
 * median by the smoothed Weiszfeld algorithm (Pillutla et al. 2022, RFA, algorithm 2), centred clipping (Karimireddy
 * et al. 2021, equation 4), and norms bounded by a multiple of their median.
 */

import type { RobustRule } from "@tributary/protocol";

import { leastReports } from "./counts.ts";
import { openKernel } from "./kernel/open-kernel.ts";
import type { RobustKernel, TileShape } from "./kernel/robust.ts";
import { krumSelection } from "./krum.ts";
import type { UpdateRows } from "./tiles.ts";
import { forEachTile, normsOf, scaledRows } from "./tiles.ts";

export interface RobustOptions {
  /** Each update is scaled into this L2 ball before the rule sees it. */
  readonly clippingNorm?: number;
  /** For tests: which kernel computes. */
  readonly kernelFor?: (shape: TileShape) => RobustKernel;
}

/**
 * What the rule makes of the updates, each of which counts alike.
 * @throws RangeError for fewer updates than the rule needs, more than a kernel takes, or numbers that are not finite
 */
export function robustMean(
  rule: RobustRule,
  updates: UpdateRows,
  { clippingNorm, kernelFor = openKernel }: RobustOptions = {},
): Float64Array {
  const { rows, parameterCount } = updates;
  if (rows < leastReports(rule)) {
    throw new RangeError(`"${rule.kind}" needs ${leastReports(rule)} updates, got ${rows}`);
  }
  const kernel = kernelFor({ rows, withPairs: rule.kind === "krum" });
  const clipped = clippingNorm === undefined ? updates : clip(kernel, updates, clippingNorm);
  const result = new Float64Array(parameterCount);
  switch (rule.kind) {
    case "median":
      // The middle value, or the mean of the two in the middle.
      trimmedMean(kernel, clipped, Math.floor((rows - 1) / 2), result);
      break;
    case "trimmedMean":
      trimmedMean(kernel, clipped, rule.trim, result);
      break;
    case "krum":
      krum(kernel, clipped, rule, result);
      break;
    case "geometricMedian":
      geometricMedian(kernel, clipped, rule, result);
      break;
    case "centredClipping":
      centredClipping(kernel, clipped, rule, result);
      break;
    case "normBounding":
      normBounding(kernel, clipped, rule, result);
      break;
  }
  return result;
}

type Rule<K extends RobustRule["kind"]> = Extract<RobustRule, { kind: K }>;

const clip = (kernel: RobustKernel, updates: UpdateRows, norm: number): UpdateRows =>
  scaledRows(
    updates,
    normsOf(kernel, updates).map((length) => shareWithin(length, norm)),
  );

/** The factor that brings a vector of this length into a ball. */
const shareWithin = (length: number, radius: number): number =>
  length <= radius ? 1 : radius / length;

function trimmedMean(
  kernel: RobustKernel,
  updates: UpdateRows,
  trim: number,
  result: Float64Array,
): void {
  forEachTile(kernel, updates, ({ from, count, columns }) => {
    kernel.trimmedMean(columns, trim);
    result.set(kernel.out.subarray(0, count), from);
  });
}

/**
 * One pass: result = keep * result + the sum of weights[i] * update i.
 * @returns the distances of the updates from the new result
 */
function step(
  kernel: RobustKernel,
  updates: UpdateRows,
  weights: Float64Array,
  keep: number,
  result: Float64Array,
): Float64Array {
  kernel.weights.set(weights);
  kernel.distances.fill(0);
  forEachTile(kernel, updates, ({ from, count, columns }) => {
    kernel.out.fill(0, count, columns);
    kernel.out.set(result.subarray(from, from + count));
    kernel.combine(columns, keep);
    kernel.addDistances(columns);
    result.set(kernel.out.subarray(0, count), from);
  });
  return kernel.distances.map(Math.sqrt);
}

function krum(
  kernel: RobustKernel,
  updates: UpdateRows,
  rule: Rule<"krum">,
  result: Float64Array,
): void {
  kernel.pairs.fill(0);
  forEachTile(kernel, updates, ({ columns }) => kernel.addPairs(columns));
  const chosen = krumSelection(kernel.pairs, updates.rows, rule);
  const weights = new Float64Array(updates.rows);
  for (const row of chosen) weights[row] = 1 / chosen.length;
  step(kernel, updates, weights, 0, result);
}

/**
 * z <- sum w_i x_i / sum w_i, w_i = 1 / max(nu, |x_i - z|). It starts from the model as it is, z = 0, and not from the
 * mean: that is where an attacker wants it, and from far away each step gains a factor only.
 */
function geometricMedian(
  kernel: RobustKernel,
  updates: UpdateRows,
  { iterations, smoothing }: Rule<"geometricMedian">,
  result: Float64Array,
): void {
  let distances = normsOf(kernel, updates);
  for (let i = 0; i < iterations; i++) {
    const away = distances.map((distance) => Math.max(smoothing, distance));
    // Of the nearest it is 1: the inverse of the smallest numbers is none.
    const least = Math.min(...away);
    const nearness = away.map((distance) => least / distance);
    const sum = nearness.reduce((total, near) => total + near, 0);
    distances = step(
      kernel,
      updates,
      nearness.map((near) => near / sum),
      0,
      result,
    );
  }
}

/** v <- v + the mean of (x_i - v) min(1, radius / |x_i - v|), from v = 0: no client moves a step by more than radius / n. */
function centredClipping(
  kernel: RobustKernel,
  updates: UpdateRows,
  { iterations, radius }: Rule<"centredClipping">,
  result: Float64Array,
): void {
  let distances = normsOf(kernel, updates);
  for (let i = 0; i < iterations; i++) {
    const weights = distances.map((distance) => shareWithin(distance, radius) / updates.rows);
    const keep = 1 - weights.reduce((total, weight) => total + weight, 0);
    distances = step(kernel, updates, weights, keep, result);
  }
}

function normBounding(
  kernel: RobustKernel,
  updates: UpdateRows,
  { factor }: Rule<"normBounding">,
  result: Float64Array,
): void {
  const norms = normsOf(kernel, updates);
  const bound = factor * medianOf(norms);
  const weights = norms.map((norm) => shareWithin(norm, bound) / updates.rows);
  step(kernel, updates, weights, 0, result);
}

function medianOf(values: Float64Array): number {
  const sorted = values.toSorted();
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return ((low as number) + (high as number)) / 2;
}
