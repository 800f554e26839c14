/** Mechanisms, neighbours and sampling claims of differential privacy in words. */

import type { PrivacyResource, SamplingClaim } from "@tributary/protocol";

import { countText, percentText } from "./format.ts";

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
