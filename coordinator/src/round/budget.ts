/** What a round of a task costs its privacy budget, and what is left of it. Pure. */

import type { ManifestPrivacy, PrivacyResource, TaskSpec } from "@tributary/protocol";

import type { Spent } from "../privacy/accountant.ts";
import { canAfford, epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { groupCharges } from "../privacy/charge.ts";
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
  return spentOf(spec, chargesThatCount(ledger), spec.privacy.delta).epsilon;
}

/**
 * Last results for a task, which is asked several times about the same charges, and each answer may take a tenth
 * of a second. They are a pure function's: without this memory all would be the same, only later.
 */
interface Known {
  spent?: { readonly key: string; readonly value: Spent };
  left?: { readonly key: string; readonly value: number };
}
const known = new WeakMap<TaskSpec, Known>();

function knownOf(spec: TaskSpec): Known {
  const about = known.get(spec) ?? {};
  known.set(spec, about);
  return about;
}

const keyOf = (charges: readonly PrivacyCharge[]): string =>
  groupCharges(charges)
    .map(({ charge, count }) => `${count}x${charge.samplingRate}/${charge.noiseMultiplier}`)
    .join(" ");

function spentOf(spec: TaskSpec, charges: readonly PrivacyCharge[], delta: number): Spent {
  const about = knownOf(spec);
  const key = keyOf(charges);
  if (about.spent?.key !== key) about.spent = { key, value: epsilonOf(charges, delta) };
  return about.spent.value;
}

function leftOf(
  spec: TaskSpec,
  charges: readonly PrivacyCharge[],
  next: PrivacyCharge,
  { delta, maxEpsilon }: { readonly delta: number; readonly maxEpsilon: number },
): number {
  const about = knownOf(spec);
  const key = keyOf(charges);
  if (about.left?.key !== key) {
    about.left = { key, value: roundsLeft(charges, next, delta, maxEpsilon) };
  }
  return about.left.value;
}

/** What has been promised with everything released or reserved: as a manifest says it. */
export function privacyPromise(spec: TaskSpec, ledger: readonly LedgerEvent[]): ManifestPrivacy {
  const charge = chargeOf(spec);
  if (spec.privacy.mechanism === "none" || charge === undefined) {
    return { mechanism: "none", statement: NO_PRIVACY_STATEMENT };
  }
  const { delta, maxEpsilon, noiseMultiplier } = spec.privacy;
  const charges = chargesThatCount(ledger);
  const { epsilon, accountant } = spentOf(spec, charges, delta);
  const facts = {
    noiseMultiplier,
    clippingNorm: spec.clippingNorm ?? Number.NaN,
    samplingRate: charge.samplingRate,
    delta,
    maxEpsilon,
    accountant,
    epsilon,
    rounds: charges.length,
  };
  return {
    mechanism: "central",
    unit: "client",
    adjacency: "add-or-remove-one",
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
  return {
    taskId,
    ...promise,
    roundsLeft: leftOf(spec, chargesThatCount(ledger), charge, promise),
  };
}
