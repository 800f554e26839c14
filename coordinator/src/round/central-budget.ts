/**
 * The budget of a task under central noise: each release is charged for as its cohort was drawn, and the task
 * ends before the charge that would exceed it. Pure.
 */

import type {
  CentralPrivacy,
  ManifestPrivacy,
  PrivateTaskSpec,
  SamplerSpec,
  SamplingClaim,
} from "@tributary/protocol";

import type { Spent } from "../privacy/accountant.ts";
import { canAfford, epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { amplificationOf, groupCharges } from "../privacy/charge.ts";
import { privacyStatement } from "../privacy/ledger.ts";
import type { DrawnAlike } from "../privacy/sampling-facts.ts";
import { adjacencyOf, warningsAbout } from "../privacy/sampling-facts.ts";
import type { PrivacyCharge } from "../ports.ts";
import type { Budget } from "./budget.ts";
import { plannedClaim } from "./sampler.ts";

export function centralBudget(
  spec: Pick<PrivateTaskSpec, "sampler">,
  { noiseMultiplier, delta, maxEpsilon, noise = "fast" }: CentralPrivacy,
): Budget {
  const chargeOf: Budget["chargeOf"] = (claim) => ({
    mechanism: "gaussian",
    noiseMultiplier,
    claim,
    ...(noise === "exact" ? { noise } : {}),
  });
  const planned = plannedClaim(spec.sampler);
  const spent = rememberLast((charges): Spent => epsilonOf(charges, delta));
  const left = rememberLast((charges) => roundsLeft(charges, chargeOf(planned), delta, maxEpsilon));
  return {
    chargeOf,
    affordsNextRound: (charges) => canAfford(charges, chargeOf(planned), delta, maxEpsilon),
    affords: (charges, next) => canAfford(charges, next, delta, maxEpsilon),
    epsilonOf: (charges) => spent(charges).epsilon,
    // The loss of capped samples takes up to seconds for each number of rounds that is tried.
    roundsLeft: (charges) => (planned.kind === "truncatedPoisson" ? undefined : left(charges)),
    promise: (charges, clipping): ManifestPrivacy => {
      const { epsilon, accountant } = spent(charges);
      const sampling = drawnAlike(charges, planned);
      const facts = {
        noise,
        noiseMultiplier,
        ...clipping,
        samplingRate: amplificationOf(planned),
        adjacency: adjacencyOf(sampling),
        sampling,
        epsilonWithoutAmplification: epsilonOf(charges.map(asUnsampled), delta).epsilon,
        warnings: warningsAbout(sampling, delta, leastPopulation(spec.sampler)),
        delta,
        maxEpsilon,
        accountant,
        epsilon,
        rounds: charges.length,
      };
      return {
        mechanism: "central",
        unit: "client",
        against: "released-models",
        ...facts,
        statement: privacyStatement(facts),
      };
    },
  };
}

/** How the charged rounds were drawn; before the first one, how it will be. */
function drawnAlike(charges: readonly PrivacyCharge[], planned: SamplingClaim): DrawnAlike[] {
  const groups = groupCharges(charges).flatMap(({ charge, count }) =>
    charge.mechanism === "gaussian" ? [{ claim: charge.claim, rounds: count }] : [],
  );
  return groups.length === 0 ? [{ claim: planned, rounds: 0 }] : groups;
}

const asUnsampled = (charge: PrivacyCharge): PrivacyCharge =>
  charge.mechanism === "gaussian" ? { ...charge, claim: { kind: "none" } } : charge;

function leastPopulation(sampler: SamplerSpec): number | undefined {
  switch (sampler.kind) {
    case "poisson":
      return sampler.population;
    case "uniform":
      return sampler.cohortSize;
    case "all":
      return undefined;
  }
}

/**
 * A task is asked several times about the same charges, and each answer may take a tenth of a second. It is a pure
 * function's: without this memory all would be the same, only later.
 */
function rememberLast<T>(
  ask: (charges: readonly PrivacyCharge[]) => T,
): (charges: readonly PrivacyCharge[]) => T {
  let last: { readonly key: string; readonly answer: T } | undefined;
  return (charges) => {
    const key = JSON.stringify(groupCharges(charges));
    if (last?.key !== key) last = { key, answer: ask(charges) };
    return last.answer;
  };
}
