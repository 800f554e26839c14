/** Charges on disk and in the audit log: as they are written now, and as the former version wrote them. */

import type { AuditFact, LedgerEvent, PrivacyCharge } from "../ports.ts";

/** Before sampling was claimed, a charge had the rate that was counted; 1 claimed nothing. */
interface FormerCharge {
  readonly mechanism: "gaussian";
  readonly noiseMultiplier: number;
  readonly samplingRate: number;
}

/** A ledger event as it was read. A former charge costs what it did. */
export function ledgerEventOf(record: unknown): LedgerEvent {
  const event = record as Omit<LedgerEvent, "charge"> & {
    readonly charge: PrivacyCharge | FormerCharge;
  };
  const { charge } = event;
  if (!("samplingRate" in charge)) return { ...event, charge };
  const { mechanism, noiseMultiplier, samplingRate } = charge;
  const claim =
    samplingRate === 1 ? ({ kind: "none" } as const) : ({ kind: "poisson", samplingRate } as const);
  return { ...event, charge: { mechanism, noiseMultiplier, claim } };
}

/** A charge in the words of the audit log: plain numbers and names. */
export function factsOfCharge(charge: PrivacyCharge): AuditFact["facts"] {
  const { mechanism, noiseMultiplier } = charge;
  if (mechanism !== "gaussian") return { mechanism, noiseMultiplier };
  const { kind, ...numbers } = charge.claim;
  const noise = charge.noise === undefined ? {} : { noise: charge.noise };
  return { mechanism, noiseMultiplier, ...noise, sampling: kind, ...numbers };
}

/** Do these facts, of this or of the former version, tell of this charge? */
export function tellsOf(facts: AuditFact["facts"], charge: PrivacyCharge): boolean {
  const told = facts.mechanism === undefined ? formerFactsOf(charge) : factsOfCharge(charge);
  return Object.entries(told).every(([name, value]) => facts[name] === value);
}

function formerFactsOf(charge: PrivacyCharge): AuditFact["facts"] {
  const { noiseMultiplier } = charge;
  if (charge.mechanism !== "gaussian") return factsOfCharge(charge);
  const { claim } = charge;
  const samplingRate = claim.kind === "poisson" ? claim.samplingRate : 1;
  return { noiseMultiplier, samplingRate };
}

/** For messages. */
export const describeCharge = (charge: PrivacyCharge): string => inWords(factsOfCharge(charge));

/** Facts of a charge, as the audit log has them, in the same words. */
export const inWords = (facts: object): string =>
  Object.entries(facts)
    .filter(([name]) => name !== "roundId")
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
