/** How a cohort really was drawn: what its sampler may claim, and all that an accountant may count on. */

export type SamplingClaim =
  /** One independent secret coin of probability `samplingRate` for each waiting client, and no top-up. */
  | { readonly kind: "poisson"; readonly samplingRate: number }
  /**
   * One such coin for each of `population` places, waited for or not; of more than `cap` heads, `cap` places are
   * chosen, every subset equally likely.
   */
  | {
      readonly kind: "truncatedPoisson";
      readonly samplingRate: number;
      readonly population: number;
      readonly cap: number;
    }
  /** So many of those who waited, or all where fewer did, every subset equally likely. It does not amplify privacy here. */
  | { readonly kind: "fixedSize"; readonly cohortSize: number }
  /** Everybody who waited, or a choice that somebody can repeat: nothing is claimed for it. */
  | { readonly kind: "none" };
