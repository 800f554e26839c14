/** How much a client's delta counts in the mean. */

import type { Weighting } from "@tributary/protocol";

/** 1 for uniform weighting, min(numExamples, cap) for weighting by examples. */
export function weightOf(weighting: Weighting, numExamples: number): number {
  return weighting.kind === "uniform" ? 1 : Math.min(numExamples, weighting.cap);
}
