/** What a round of a task costs its privacy budget, and what is left of it. Pure. */

import type { PrivacyResource, TaskSpec } from "@tributary/protocol";

import { canAfford, epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { chargesThatCount, privacyStatement } from "../privacy/ledger.ts";
import type { LedgerEvent, PrivacyCharge } from "../ports.ts";
import { expectedReports } from "./sampler.ts";

/** The charge of one round; undefined for a task without privacy. */
export function chargeOf(spec: TaskSpec): PrivacyCharge | undefined {
  if (spec.privacy.mechanism === "none") return undefined;
  return {
    mechanism: "gaussian",
    noiseMultiplier: spec.privacy.noiseMultiplier,
    // Only an independent coin for each client amplifies; every other sampler is accounted as q = 1.
    samplingRate: spec.sampler.kind === "poisson" ? spec.sampler.samplingRate : 1,
  };
}

/** The public denominator of the mean: never the number of clients that answered. */
export function expectedReportsOf(spec: TaskSpec): number {
  return expectedReports(spec.sampler, spec.schedule.minClients);
}

/** May one more round be released? Always, for a task without privacy. */
export function affordsNextRound(spec: TaskSpec, ledger: readonly LedgerEvent[]): boolean {
  const charge = chargeOf(spec);
  if (spec.privacy.mechanism === "none" || charge === undefined) return true;
  const { delta, maxEpsilon } = spec.privacy;
  return canAfford(chargesThatCount(ledger), charge, delta, maxEpsilon);
}

/** Epsilon of everything released or reserved; undefined for a task without privacy. */
export function epsilonSpent(spec: TaskSpec, ledger: readonly LedgerEvent[]): number | undefined {
  if (spec.privacy.mechanism === "none") return undefined;
  return epsilonOf(chargesThatCount(ledger), spec.privacy.delta).epsilon;
}

/** The budget as the monitoring API shows it. */
export function privacyResource(spec: TaskSpec, ledger: readonly LedgerEvent[]): PrivacyResource {
  const charge = chargeOf(spec);
  if (spec.privacy.mechanism === "none" || charge === undefined) {
    return { taskId: spec.taskId, mechanism: "none" };
  }
  const { delta, maxEpsilon, noiseMultiplier } = spec.privacy;
  const charges = chargesThatCount(ledger);
  const { epsilon } = epsilonOf(charges, delta);
  const facts = {
    noiseMultiplier,
    clippingNorm: spec.clippingNorm ?? Number.NaN,
    samplingRate: charge.samplingRate,
    delta,
    maxEpsilon,
    epsilon,
    rounds: charges.length,
  };
  return {
    taskId: spec.taskId,
    mechanism: "central",
    unit: "client",
    adjacency: "add-or-remove-one",
    accountant: "rdp",
    ...facts,
    roundsLeft: roundsLeft(charges, charge, delta, maxEpsilon),
    statement: privacyStatement(facts),
  };
}
