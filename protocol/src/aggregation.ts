/**
 * How the updates of a round become one. The mean trusts everybody; the other rules bound what a few lying clients can
 * do, whatever they send. Each counts every client alike, for what a client says of its examples may be a lie as well.
 */
export type AggregationSpec =
  /** The weighted mean: FedAvg. */
  | { readonly kind: "mean" }
  /** Of each parameter the median (Yin et al. 2018). */
  | { readonly kind: "median" }
  /** Of each parameter the mean without the `trim` smallest and the `trim` largest (Yin et al. 2018). */
  | { readonly kind: "trimmedMean"; readonly trim: number }
  /** The mean of the `select` updates that are nearest to their neighbours (Blanchard et al. 2017); 1 is Krum itself. */
  | {
      readonly kind: "krum";
      /** f: how many of the reports may be lies. */
      readonly byzantine: number;
      /** m: how many of them are averaged. */
      readonly select: number;
    }
  /** Where the sum of distances to all updates is least (Pillutla et al. 2022, RFA). */
  | {
      readonly kind: "geometricMedian";
      readonly iterations: number;
      /** Updates that are nearer than this count as if they were so far. */
      readonly smoothing: number;
    }
  /** Steps to the mean of what is left of the differences when they are cut to `radius` (Karimireddy et al. 2021). */
  | { readonly kind: "centredClipping"; readonly radius: number; readonly iterations: number }
  /** The mean of updates that are cut to `factor` times the median of their norms. */
  | { readonly kind: "normBounding"; readonly factor: number };

/** A rule that needs all updates of a round at once. */
export type RobustRule = Exclude<AggregationSpec, { kind: "mean" }>;

/** A rule as it may be written: what has a default may be left out. */
export type AggregationInput =
  | Exclude<RobustRule, { kind: "krum" | "geometricMedian" | "centredClipping" | "normBounding" }>
  | { readonly kind: "mean" }
  | { readonly kind: "krum"; readonly byzantine: number; readonly select?: number }
  | {
      readonly kind: "geometricMedian";
      readonly iterations?: number;
      readonly smoothing?: number;
    }
  | { readonly kind: "centredClipping"; readonly radius: number; readonly iterations?: number }
  | { readonly kind: "normBounding"; readonly factor?: number };
