/**
 * How implementations of differential privacy are known to have gone wrong. Most are flipped in by a file of
 * `failures/`; what one edit cannot do is held by rules of SPEC.md, which are named here.
 */

export interface KnownFailure {
  readonly failure: number;
  readonly title: string;
  /** Rules of SPEC.md whose tests hold it, where no edit flips it in; or beside one. */
  readonly heldBy: readonly string[];
}

const failure = (number: number, title: string, ...heldBy: readonly string[]): KnownFailure => ({
  ...{ failure: number, title, heldBy },
});

export const KNOWN_FAILURES: readonly KnownFailure[] = [
  failure(1, "the sampling that is accounted is not the one that is done", "SM3", "SM6"),
  failure(2, "the denominator depends on the data", "AG8", "SM5"),
  failure(3, "weights raise the sensitivity", "EA3"),
  failure(4, "less noise when clients drop out", "DP6", "EA3"),
  failure(5, "NaN, infinity and zero norms pass or crash", "PR12", "AG5"),
  failure(6, "clipping by tensor or record instead of by client", "AG3"),
  failure(7, "floating-point noise", "DP5"),
  failure(8, "floating-point sums raise the sensitivity", "AG2"),
  failure(9, "randomness that is not secret, or used twice", "DP8"),
  failure(10, "the variance taken for the standard deviation", "DP5", "EA3"),
  failure(11, "adaptive clipping that is not paid for, or goes the wrong way", "AC1", "AC2", "AC4"),
  failure(12, "counts, losses and participation are published", "EG1", "EG2", "EG6", "TS12"),
  failure(13, "overspending by a crash, a restart or a retry", "EN2", "EN8", "RS4", "CH1"),
  failure(14, "the budget is checked after the release", "SC2", "DP3"),
  failure(15, "one person counts twice", "RD4", "CH30", "AU6"),
  failure(16, "intermediates are published: states, dropped versions, a choice by the data", "EG8"),
  failure(17, "a wrong formula or sensitivity of local noise", "DP13"),
  failure(18, "epsilon quoted without delta, unit, neighbours or sampling", "DP10", "TS12"),
  failure(19, "parameters chosen as one goes, accounted as if fixed before", "DP12"),
  failure(20, "amplification claimed against the coordinator", "DP10"),
  failure(21, "Renyi orders, replace-one and counts computed wrongly", "DP1", "DP2", "DP12"),
  // There is no edit that ships something: what would be shipped has no name to ask for it by.
  failure(22, "filters without noise sold as privacy", "EG10"),
  failure(23, "a mechanism that is not accounted", "DP4"),
];
