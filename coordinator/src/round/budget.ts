/** What a round of a task costs its privacy budget, and what is left of it. Pure. */

import type { ManifestPrivacy, PrivacyResource, TaskSpec } from "@tributary/protocol";

import { canAfford, epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { chargesThatCount, NO_PRIVACY_STATEMENT, privacyStatement } from "../privacy/ledger.ts";
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

/** What has been promised with everything released or reserved: as a manifest says it. */
export function privacyPromise(spec: TaskSpec, ledger: readonly LedgerEvent[]): ManifestPrivacy {
  const charge = chargeOf(spec);
  if (spec.privacy.mechanism === "none" || charge === undefined) {
    return { mechanism: "none", statement: NO_PRIVACY_STATEMENT };
  }
  const { delta, maxEpsilon, noiseMultiplier } = spec.privacy;
  const charges = chargesThatCount(ledger);
  const facts = {
    noiseMultiplier,
    clippingNorm: spec.clippingNorm ?? Number.NaN,
    samplingRate: charge.samplingRate,
    delta,
    maxEpsilon,
    epsilon: epsilonOf(charges, delta).epsilon,
    rounds: charges.length,
  };
  return {
    mechanism: "central",
    unit: "client",
    adjacency: "add-or-remove-one",
    accountant: "rdp",
    ...facts,
    statement: privacyStatement(facts),
  };
}

/** The budget as the monitoring API shows it. */
export function privacyResource(spec: TaskSpec, ledger: readonly LedgerEvent[]): PrivacyResource {
  const { taskId } = spec;
  const promise = privacyPromise(spec, ledger);
  const charge = chargeOf(spec);
  if (promise.mechanism === "none" || charge === undefined) return { taskId, mechanism: "none" };
  const { delta, maxEpsilon } = promise;
  const left = roundsLeft(chargesThatCount(ledger), charge, delta, maxEpsilon);
  return { taskId, ...promise, roundsLeft: left };
}
