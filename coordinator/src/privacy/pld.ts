/**
 * Epsilon of composed Poisson-sampled Gaussian releases by their privacy loss distribution (add-or-remove-one):
 * from above, and within about 1e-4 of the exact value. Masses on a grid (`loss-distribution.ts`) are composed
 * (`loss-composition.ts`) in both directions; the worse one counts.
 */

import type { ReleaseGroup } from "./charge.ts";
import { epsilonOfGaussian } from "./gaussian-curve.ts";
import type { Edge } from "./loss-composition.ts";
import { composeTilted } from "./loss-composition.ts";
import type { Part } from "./loss-cumulants.ts";
import { chernoffEpsilon, coarsen, tiltFor } from "./loss-cumulants.ts";
import type { LossPair } from "./loss-distribution.ts";
import { sampledGaussianLoss } from "./loss-distribution.ts";
import { truncatedGaussianLoss } from "./loss-truncated.ts";

/** Share of epsilon that the grid may add. */
const GRID_SHARE = 5e-5;
/** Share of delta that may be counted as infinite loss. */
const TAIL_SHARE = 1e-5;
/** Times that the grid is made finer, or coarser, when a first result asks for it. */
const MOST_ATTEMPTS = 8;
/** Times that the tilt is halved when its window is too wide or misses epsilon. */
const MOST_TILTS = 6;
/** The largest sampling rate below 1. */
const ALL = 1 - 2 ** -53;

/** What the Renyi curve tells beforehand. */
export interface RenyiHint {
  readonly epsilon: number;
  /** Order that gave it; > 1. */
  readonly order: number;
}

/**
 * @param releases every release once, with how often it was made; sampling rates in (0, 1]
 * @param hint Renyi bound of the same releases at the same delta: epsilon finite and > 0
 * @returns an upper bound; Infinity where no grid holds the distribution
 */
export function epsilonOfLoss(
  releases: readonly ReleaseGroup[],
  delta: number,
  hint: RenyiHint,
): number {
  const isWhole = ({ samplingRate, truncation }: ReleaseGroup) =>
    samplingRate === 1 && truncation === undefined;
  const sampled = releases.filter((release) => !isWhole(release));
  const whole = releases.filter(isWhole);
  // Gaussians compose to a Gaussian: mu^2 adds up (Dong, Roth, Su 2019, Corollary 3.3).
  const mu = Math.sqrt(
    whole.reduce((sum, { noiseMultiplier, count }) => sum + count / noiseMultiplier ** 2, 0),
  );
  if (sampled.length === 0) return epsilonOfGaussian(mu, delta);

  const composed = [...sampled];
  // All of a Gaussian is the limit of a sample that misses nobody.
  if (mu > 0) composed.push({ noiseMultiplier: 1 / mu, samplingRate: ALL, count: 1 });
  const total = composed.reduce((sum, { count }) => sum + count, 0);
  const tailMass = (TAIL_SHARE * delta) / total;

  let h = widthFor(hint.epsilon, hint.order, total);
  let best = Infinity;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const parts = composed.map(({ samplingRate, noiseMultiplier, truncation, count }) => ({
      count,
      loss:
        truncation === undefined
          ? sampledGaussianLoss(samplingRate, noiseMultiplier, h, tailMass)
          : truncatedGaussianLoss(samplingRate, noiseMultiplier, truncation, h, tailMass),
    }));
    const edge = worseDirection(parts, delta);
    if (edge === "gridTooFine") {
      // A coarser grid came before: there is no better one.
      if (best < Infinity) break;
      h *= 2;
      continue;
    }
    // Each grid gives an upper bound, so the least of them is one.
    best = Math.min(best, Math.max(0, edge.epsilon));
    // Where the Renyi bound is loose, the true curve is steeper than it and asks for a finer grid.
    const needed = widthFor(edge.epsilon, edge.steepness, total);
    if (!(h > 1.05 * needed)) break;
    h = needed;
  }
  return best;
}

/**
 * Width of the grid at which what it adds is {@link GRID_SHARE} of epsilon: splitting a cell's mass between its
 * ends adds about h^2 / 6 to the variance of each loss, and so (steepness + 1) h^2 / 12 to epsilon.
 * @param steepness -d log(delta) / d epsilon
 */
const widthFor = (epsilon: number, steepness: number, releases: number): number =>
  Math.sqrt((12 * GRID_SHARE * epsilon) / ((steepness + 1) * releases));

function worseDirection(
  parts: readonly { readonly count: number; readonly loss: LossPair }[],
  delta: number,
): Edge | "gridTooFine" {
  const remove = compose(
    parts.map(({ count, loss }) => ({ count, loss: loss.remove })),
    delta,
  );
  if (remove === "gridTooFine") return remove;
  const adding = parts.map(({ count, loss }) => ({ count, loss: loss.add }));
  // Mostly far below: then its Chernoff bound says so without a transform.
  if (chernoffEpsilon(adding.map(coarsen), delta) <= remove.epsilon) return remove;
  const add = compose(adding, delta);
  return add !== "gridTooFine" && add.epsilon <= remove.epsilon ? remove : add;
}

function compose(parts: readonly Part[], delta: number): Edge | "gridTooFine" {
  const rough = parts.map(coarsen);
  let lambda = tiltFor(rough, delta);
  let tooFine = false;
  // Less tilt needs a smaller window, and moves it towards smaller losses.
  for (let attempt = 0; attempt < MOST_TILTS; attempt++, lambda /= 2) {
    const edge = composeTilted(parts, rough, delta, lambda);
    if (typeof edge === "object") return edge;
    tooFine ||= edge === "gridTooFine";
  }
  return tooFine ? "gridTooFine" : { epsilon: Infinity, steepness: 0 };
}
