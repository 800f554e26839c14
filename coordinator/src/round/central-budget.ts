/**
 * The budget of a task under central noise: each release is charged for as its cohort was drawn, and the task
 * ends before the charge that would exceed it. Pure.
 */

import type { CentralPrivacy, ManifestPrivacy, PrivateTaskSpec } from "@tributary/protocol";

import type { Spent } from "../privacy/accountant.ts";
import { canAfford, epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { amplificationOf, groupCharges } from "../privacy/charge.ts";
import { privacyStatement } from "../privacy/ledger.ts";
import type { PrivacyCharge } from "../ports.ts";
import type { Budget } from "./budget.ts";
import { plannedClaim } from "./sampler.ts";

export function centralBudget(
  spec: Pick<PrivateTaskSpec, "sampler" | "clippingNorm">,
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
    epsilonOf: (charges) => spent(charges).epsilon,
    roundsLeft: left,
    promise: (charges): ManifestPrivacy => {
      const { epsilon, accountant } = spent(charges);
      const facts = {
        noiseMultiplier,
        clippingNorm: spec.clippingNorm,
        samplingRate: amplificationOf(planned),
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
        statement: privacyStatement({ ...facts, noise }),
      };
    },
  };
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
