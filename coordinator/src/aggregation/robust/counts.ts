/** How many updates a rule needs, and how many it may average. */

import type { AggregationSpec } from "@tributary/protocol";

/** A rule whose numbers may not be complete yet. */
export type CountedRule =
  | Exclude<AggregationSpec, { kind: "krum" }>
  | { readonly kind: "krum"; readonly byzantine: number };

/** Reports without which the rule cannot be applied, or would let one liar decide. */
export function leastReports(rule: CountedRule): number {
  switch (rule.kind) {
    // Two, so that no mean is anybody's own.
    case "mean":
      return 2;
    // Of two reports a liar is one half.
    case "median":
    case "geometricMedian":
    case "centredClipping":
    case "normBounding":
      return 3;
    case "trimmedMean":
      return 2 * rule.trim + 1;
    // 2 f + 2 < n (Blanchard et al. 2017, proposition 4.2).
    case "krum":
      return 2 * rule.byzantine + 3;
  }
}

/**
 * Of n reports, f of them lies, a client's score counts its n - f - 2 nearest, and its argument holds for as many that
 * are averaged (Damaskinos et al. 2019).
 */
export const mostSelected = (byzantine: number, reports: number): number => reports - byzantine - 2;
