import { describe, expect, test } from "vitest";

import { chargesThatCount, privacyStatement } from "./ledger.ts";

const charge = (noiseMultiplier: number) => ({ noiseMultiplier, samplingRate: 0.1 });

const facts = {
  accountant: "pld" as const,
  epsilon: 1.23412,
  delta: 1e-6,
  maxEpsilon: 8,
  rounds: 12,
  noiseMultiplier: 1.1,
  clippingNorm: 0.5,
  noise: "fast" as const,
  adjacency: "add-or-remove-one" as const,
  sampling: [{ claim: { kind: "poisson", samplingRate: 0.01 } as const, rounds: 12 }],
  epsilonWithoutAmplification: 55.551,
  warnings: [],
};

describe("the ledger", () => {
  test("[DP9] reserved and released charges count, a void one does not", () => {
    const events = [
      { status: "released", charge: charge(1) },
      { status: "void", charge: charge(2) },
      { status: "reserved", charge: charge(3) },
    ] as const;
    expect(chargesThatCount(events)).toEqual([charge(1), charge(3)]);
    expect(chargesThatCount([])).toEqual([]);
  });
});

describe("the privacy statement", () => {
  test("[DP10] it says for whom, how much, by what, against whom, and what is not protected", () => {
    const statement = privacyStatement(facts);
    for (const part of [
      "one client takes part",
      "add or remove one client",
      "accountant: privacy loss distribution",
      "epsilon = 1.235",
      "delta = 0.000001",
      "12 rounds",
      "budget: epsilon <= 8",
      "L2 norm 0.5",
      "1.1 times",
      "probability 0.01",
      "anyone who sees only released models",
      "also knows who took part in which round",
      "epsilon = 55.56",
      "not hold against the coordinator",
      "whole steps of a public grid",
      "drawn in double precision",
    ]) {
      expect(statement).toContain(part);
    }
  });

  test("[DP10] without an independent coin it claims nothing for the choice of clients", () => {
    const statement = privacyStatement({
      ...facts,
      sampling: [{ claim: { kind: "none" }, rounds: 12 }],
    });
    expect(statement).toContain("not counted on for privacy");
    expect(statement).not.toContain("coin");
  });

  test("[NS8] it says which noise it was", () => {
    const exact = privacyStatement({ ...facts, noise: "exact" });
    expect(exact).toContain("drawn in integer arithmetic, exactly as accounted for");
    expect(exact).not.toContain("double precision");
  });

  test("[DP10] its epsilon is rounded up, never down", () => {
    const shown = (epsilon: number) =>
      /epsilon = (\S+)/.exec(privacyStatement({ ...facts, epsilon }))?.[1];
    expect(shown(2.00001)).toBe("2.001");
    expect(shown(2)).toBe("2");
    expect(shown(9.9999)).toBe("10");
    expect(shown(12.3412)).toBe("12.35");
    expect(shown(0.0123411)).toBe("0.01235");
    expect(shown(0)).toBe("0");
    expect(shown(Infinity)).toBe("Infinity");
    for (let epsilon = 1e-3; epsilon < 1e4; epsilon *= 1.0137) {
      expect(Number(shown(epsilon))).toBeGreaterThanOrEqual(epsilon);
      expect(Number(shown(epsilon))).toBeLessThan(epsilon * 1.0011);
    }
  });
});
