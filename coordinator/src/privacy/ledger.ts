/** What counts of a ledger, and the promise in words that follows from it. Pure. */

import { roundedUp } from "@tributary/protocol";

import type { Adjacency, DrawnAlike } from "./sampling-facts.ts";
import { describeSampling, isAmplified } from "./sampling-facts.ts";

interface LedgerEntry<C> {
  readonly status: "reserved" | "released" | "void";
  readonly charge: C;
}

/** Everything that was or may have been released; void means provably nothing was. */
export function chargesThatCount<C>(events: readonly LedgerEntry<C>[]): C[] {
  return events.filter(({ status }) => status !== "void").map(({ charge }) => charge);
}

export interface PrivacyFacts {
  /** Of the two upper bounds the one that is smaller, and given. */
  readonly accountant: "rdp" | "pld";
  readonly epsilon: number;
  readonly delta: number;
  readonly maxEpsilon: number;
  readonly rounds: number;
  readonly noiseMultiplier: number;
  readonly clippingNorm: number;
  /** Where the norm follows a quantile: `clippingNorm` is then that of the next round. */
  readonly adaptiveClipping?: {
    readonly targetQuantile: number;
    readonly bitNoiseStddev: number;
    readonly deltaNoiseMultiplier: number;
  };
  readonly noise: "fast" | "exact";
  readonly adjacency: Adjacency;
  readonly sampling: readonly DrawnAlike[];
  /** Against whoever knows who took part: of the same releases, with nothing claimed for sampling. */
  readonly epsilonWithoutAmplification: number;
  readonly warnings: readonly string[];
}

const NEIGHBOURS: Readonly<
  Record<Adjacency, { readonly whether: string; readonly neighbours: string }>
> = {
  "add-or-remove-one": {
    whether: "whether or not one client takes part in this task",
    neighbours: "add or remove one client",
  },
  "zero-out": {
    whether: "whether one client's updates in this task are its own or zero",
    neighbours: "one client's updates count as zero, its place stays taken",
  },
};

const NOISE = {
  fast: "the noise is drawn in double precision, very near to the distribution accounted for and not exactly it",
  exact: "the noise is drawn in integer arithmetic, exactly as accounted for",
} as const;

const ACCOUNTANTS = { rdp: "Renyi divergences", pld: "privacy loss distribution" } as const;

/** The privacy statement of a task. */
export function privacyStatement(facts: PrivacyFacts): string {
  const sampling = describeSampling(facts.sampling);
  const { whether, neighbours } = NEIGHBOURS[facts.adjacency];
  return [
    `Each client's whole contribution is protected: ${whether} changes`,
    `the probability of any set of released models by at most a factor e^epsilon, up to delta, with`,
    `epsilon = ${roundedUp(facts.epsilon, 4)} and delta = ${facts.delta} after ${facts.rounds} rounds`,
    `(neighbours: ${neighbours}; accountant: ${ACCOUNTANTS[facts.accountant]}; budget: epsilon <= ${facts.maxEpsilon}).`,
    `Mechanism: ${clippingAndNoise(facts)}, the denominator is fixed, and ${sampling}.`,
    `This holds against anyone who sees only released models.`,
    ...(facts.sampling.some(isAmplified)
      ? [
          `For whoever also knows who took part in which round, chance hides nobody: there the same releases have`,
          `epsilon = ${roundedUp(facts.epsilonWithoutAmplification, 4)}.`,
        ]
      : []),
    `It does not hold against the coordinator,`,
    `which sees each update, nor does it hide who took part, nor protect a person who runs several clients`,
    `as one. Clipped deltas, their sum and the noise are whole steps of a public grid, and exact, so that no last`,
    `bits tell more; ${NOISE[facts.noise]}.`,
    ...facts.warnings.map((warning) => `Note: ${warning}.`),
  ].join(" ");
}

function clippingAndNoise({ noiseMultiplier, clippingNorm, adaptiveClipping }: PrivacyFacts) {
  if (adaptiveClipping === undefined) {
    return (
      `every delta is clipped to L2 norm ${clippingNorm}, Gaussian noise of ` +
      `${noiseMultiplier} times that norm is added to the sum`
    );
  }
  const { targetQuantile, bitNoiseStddev, deltaNoiseMultiplier } = adaptiveClipping;
  return (
    `every delta is clipped to an L2 norm that follows quantile ${targetQuantile} of the clients' norms ` +
    `(${clippingNorm} in the next round), Gaussian noise of ${deltaNoiseMultiplier} times that norm is added ` +
    `to the sum, and noise of ${bitNoiseStddev} clients to the count of norms at or below it, which together ` +
    `cost as much as noise of ${noiseMultiplier} times the norm on the sum alone`
  );
}

/** The same of a task without a privacy mechanism. */
export const NO_PRIVACY_STATEMENT =
  "No differential privacy: the model is made from its clients' updates without noise, and may reveal what " +
  "single clients contributed.";
