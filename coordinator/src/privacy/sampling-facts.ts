/** What a statement says of how cohorts were drawn, and of what that makes of the numbers beside it. Pure. */

import type { SamplingClaim } from "@tributary/protocol";

/** So many rounds that were drawn alike. */
export interface DrawnAlike {
  readonly claim: SamplingClaim;
  readonly rounds: number;
}

/**
 * Which two worlds are compared. Where coins or nobody choose, a client that is missing changes nothing for the
 * others. In a cohort of fixed size another takes its place, so there it stays, and its updates count as zero.
 */
export type Adjacency = "add-or-remove-one" | "zero-out";

export const adjacencyOf = (drawn: readonly DrawnAlike[]): Adjacency =>
  drawn.some(({ claim }) => claim.kind === "fixedSize") ? "zero-out" : "add-or-remove-one";

export const isAmplified = ({ claim }: DrawnAlike): boolean =>
  claim.kind === "truncatedPoisson" || (claim.kind === "poisson" && claim.samplingRate < 1);

/** In words, the rounds of each kind counted where there are several kinds. */
export function describeSampling(drawn: readonly DrawnAlike[]): string {
  const [only] = drawn;
  if (drawn.length === 1 && only !== undefined) return inWords(only);
  return drawn.map((some) => `in ${some.rounds} rounds ${inWords(some)}`).join("; ");
}

function inWords(drawn: DrawnAlike): string {
  const { claim } = drawn;
  if (!isAmplified(drawn)) return "the choice of clients is not counted on for privacy";
  switch (claim.kind) {
    case "poisson":
      return `each waiting client is in a round by an independent secret coin of probability ${claim.samplingRate}`;
    case "truncatedPoisson":
      return (
        `each of ${claim.population} places throws an independent secret coin of probability ${claim.samplingRate}, ` +
        `and of more than ${claim.cap} heads ${claim.cap} are chosen evenly`
      );
    case "fixedSize":
    case "none":
      return "the choice of clients is not counted on for privacy";
  }
}

/**
 * What the author of a task should know and may have overlooked.
 * @param population clients that there are at least, as far as the task says
 */
export function warningsAbout(
  drawn: readonly DrawnAlike[],
  delta: number,
  population: number | undefined,
): string[] {
  const customary = population === undefined ? 1 : population ** -1.1;
  return [
    ...(delta > customary
      ? [
          `delta of ${delta} is above 1 / N^1.1 = ${customary.toPrecision(2)} for ${population} clients: ` +
            "it would allow to give somebody away entirely more often than is customary",
        ]
      : []),
    ...drawn.flatMap(({ claim }) => {
      if (claim.kind !== "truncatedPoisson") return [];
      const { samplingRate: q, population: n, cap } = claim;
      const free = Math.ceil(q * n + 5 * Math.sqrt(q * n * (1 - q)));
      if (cap >= Math.min(n, free)) return [];
      return [
        `sampler.maxCohort of ${cap} is below ${free}, the mean and five standard deviations: ` +
          "that it binds so often is paid for in epsilon",
      ];
    }),
  ];
}
