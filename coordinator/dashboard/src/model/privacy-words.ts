/** Mechanisms, neighbours and sampling claims of differential privacy in words. */

import type { PrivacyResource, SamplingClaim, TaskSpec } from "@tributary/protocol";

import { countText, percentText, settingText } from "./format.ts";

type Private = Exclude<PrivacyResource, { mechanism: "none" }>;

export const MECHANISM_WORDS: Readonly<Record<Private["mechanism"], string>> = {
  central: "central: the coordinator adds noise to each round’s sum",
  local: "local: each client adds noise to its own update",
  matrix: "matrix: the noise of a whole run is correlated, so that much of it cancels",
};

export const ADJACENCY_WORDS: Readonly<Record<Private["adjacency"], string>> = {
  "add-or-remove-one": "with it or without it",
  "zero-out": "its updates count, or count as zero",
  "replace-one": "with its data or any other",
};

/** How rounds were drawn, as the accounting may rely on it. */
export function claimWords(claim: SamplingClaim): string {
  switch (claim.kind) {
    case "poisson":
      return `a coin for each client, ${percentText(claim.samplingRate)}`;
    case "truncatedPoisson":
      return `a coin for each of ${countText(claim.population)} clients, ${percentText(claim.samplingRate)}, at most ${countText(claim.cap)} of them`;
    case "fixedSize":
      return `always ${countText(claim.cohortSize)} clients: nothing is gained from chance`;
    case "none":
      return "no claim: accounted as if everybody took part";
  }
}

/** What becomes of updates without noise. Rules that guard the model against liars are not there for privacy. */
export function unprotectedWords({
  aggregation,
  clippingNorm,
}: Pick<TaskSpec, "aggregation" | "clippingNorm">): string {
  const clipped =
    clippingNorm === undefined ? "" : `are clipped to norm ${settingText(clippingNorm)} and `;
  const robust =
    ", which guards the model against clients that lie and hides nothing of those that do not.";
  switch (aggregation.kind) {
    case "mean":
      return `Updates ${clipped}are averaged, and no noise is added.`;
    case "median":
      return `Of all updates ${clippedFirst(clippingNorm)}the median of each parameter is taken${robust}`;
    case "trimmedMean":
      return `Of all updates ${clippedFirst(clippingNorm)}each parameter is averaged without its smallest and largest values${robust}`;
    case "krum":
      return `Of all updates ${clippedFirst(clippingNorm)}those nearest to others are averaged, and the rest is left out${robust}`;
    case "geometricMedian":
      return `Of all updates ${clippedFirst(clippingNorm)}the geometric median is taken${robust}`;
    case "centredClipping":
      return `Updates ${clipped}are averaged, each clipped to a radius around a centre${robust}`;
    case "normBounding":
      return `Updates ${clipped}are averaged, those above ${settingText(aggregation.factor)} times the median norm shortened to it${robust}`;
  }
}

const clippedFirst = (norm: number | undefined): string =>
  norm === undefined ? "" : `(clipped to norm ${settingText(norm)}) `;
