/** What a round of a task costs its privacy budget, and what is left of it: one strategy for each mechanism. Pure. */

import type {
  ManifestPrivacy,
  PrivacyResource,
  RoundId,
  SamplingClaim,
  TaskSpec,
} from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import { chargesThatCount, NO_PRIVACY_STATEMENT } from "../privacy/ledger.ts";
import type { LedgerEvent, PrivacyCharge } from "../ports.ts";
import { centralBudget } from "./central-budget.ts";
import type { ClippedVersion, Clipping } from "./clipping.ts";
import { clippingAfter } from "./clipping.ts";
import { localPromise } from "./local-budget.ts";
import { matrixBudget } from "./matrix-budget.ts";
import { expectedReports } from "./sampler.ts";

/** How a mechanism is paid for. `charges` are those of a ledger that count. */
export interface Budget {
  /** The charge of a release whose cohort was drawn so. */
  chargeOf(claim: SamplingClaim): PrivacyCharge;
  /** May one more round be opened, drawn as the task's sampler draws? */
  affordsNextRound(charges: readonly PrivacyCharge[]): boolean;
  /** Is this charge within the budget, on top of the others? What was drawn may cost more than what was planned. */
  affords(charges: readonly PrivacyCharge[], next: PrivacyCharge): boolean;
  /** Epsilon of everything released or reserved. */
  epsilonOf(charges: readonly PrivacyCharge[]): number;
  /** Rounds that the budget still covers; undefined where counting them takes minutes. */
  roundsLeft(charges: readonly PrivacyCharge[]): number | undefined;
  /** What has been promised with these charges. @param clipping as the next round clips */
  promise(charges: readonly PrivacyCharge[], clipping: Clipping): ManifestPrivacy;
}

/** Budgets remember their last answers, so there is one for each task. */
const budgets = new WeakMap<TaskSpec, Budget>();

/** Undefined where the coordinator charges nothing. A new mechanism gets its line here. */
function budgetOf(spec: TaskSpec): Budget | undefined {
  const known = budgets.get(spec);
  if (known !== undefined) return known;
  const { privacy } = spec;
  switch (privacy.mechanism) {
    case "none":
    // The clients account for what they add themselves; here nothing is charged.
    case "local":
      return undefined;
    case "matrix": {
      const budget = matrixBudget(spec.clippingNorm ?? Number.NaN, privacy);
      budgets.set(spec, budget);
      return budget;
    }
    case "central": {
      const budget = centralBudget(spec, privacy);
      budgets.set(spec, budget);
      return budget;
    }
  }
}

/**
 * The charge of a round that was drawn so, if the budget covers it; a charge of its own that is reserved already
 * counts once. Undefined where nothing is charged.
 * @throws FederatedError CONFIG_INVALID for a claim that the accountant does not know, or beyond the budget
 */
export function affordableCharge(
  spec: TaskSpec,
  round: { readonly roundId: RoundId; readonly claim: SamplingClaim },
  ledger: readonly LedgerEvent[],
): PrivacyCharge | undefined {
  const budget = budgetOf(spec);
  if (budget === undefined) return undefined;
  const charge = budget.chargeOf(round.claim);
  const others = chargesThatCount(ledger.filter(({ roundId }) => roundId !== round.roundId));
  if (budget.affords(others, charge)) return charge;
  throw new FederatedError(
    "CONFIG_INVALID",
    `round ${round.roundId}, drawn with the claim ${JSON.stringify(round.claim)}, costs more than is left of the privacy budget; nothing is released`,
  );
}

/** The public denominator of the mean: never the number of clients that answered. */
export function expectedReportsOf(spec: TaskSpec): number {
  return expectedReports(spec.sampler, spec.schedule.minClients);
}

/** May one more round be released? Always, for a task without privacy. */
export function affordsNextRound(spec: TaskSpec, ledger: readonly LedgerEvent[]): boolean {
  return budgetOf(spec)?.affordsNextRound(chargesThatCount(ledger)) ?? true;
}

/** Epsilon of everything released or reserved; undefined for a task without privacy. */
export function epsilonSpent(spec: TaskSpec, ledger: readonly LedgerEvent[]): number | undefined {
  return budgetOf(spec)?.epsilonOf(chargesThatCount(ledger));
}

/**
 * What has been promised with everything released or reserved: as a manifest says it.
 * @param version the newest, or the one that the manifest is of
 */
export function privacyPromise(
  spec: TaskSpec,
  ledger: readonly LedgerEvent[],
  version: ClippedVersion,
): ManifestPrivacy {
  if (spec.privacy.mechanism === "local") {
    return localPromise(spec.privacy, spec.clippingNorm ?? Number.NaN);
  }
  return (
    budgetOf(spec)?.promise(chargesThatCount(ledger), clippingAfter(spec, version)) ?? {
      mechanism: "none",
      statement: NO_PRIVACY_STATEMENT,
    }
  );
}

/** The budget as the monitoring API shows it. */
export function privacyResource(
  spec: TaskSpec,
  ledger: readonly LedgerEvent[],
  version: ClippedVersion,
): PrivacyResource {
  const { taskId } = spec;
  const charges = chargesThatCount(ledger);
  const promise = privacyPromise(spec, ledger, version);
  if (promise.mechanism === "none") return { taskId, mechanism: "none" };
  if (promise.mechanism === "local") return { taskId, ...promise };
  const left = budgetOf(spec)?.roundsLeft(charges);
  if (promise.mechanism === "matrix") return { taskId, ...promise, roundsLeft: left ?? 0 };
  return { taskId, ...promise, ...(left === undefined ? {} : { roundsLeft: left }) };
}
