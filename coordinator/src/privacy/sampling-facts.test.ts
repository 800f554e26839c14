import { describe, expect, test } from "vitest";

import { privacyStatement } from "./ledger.ts";
import { adjacencyOf, describeSampling, isAmplified, warningsAbout } from "./sampling-facts.ts";

const poisson = { claim: { kind: "poisson", samplingRate: 0.1 }, rounds: 7 } as const;
const capped = {
  claim: { kind: "truncatedPoisson", samplingRate: 0.1, population: 1000, cap: 150 },
  rounds: 2,
} as const;
const fixed = { claim: { kind: "fixedSize", cohortSize: 9 }, rounds: 3 } as const;
const none = { claim: { kind: "none" }, rounds: 1 } as const;

describe("what is said of sampling", () => {
  test("[PS2] a cohort of fixed size compares worlds in which the client keeps its place, all others add or remove it", () => {
    expect(adjacencyOf([poisson, capped, none])).toBe("add-or-remove-one");
    expect(adjacencyOf([poisson, fixed])).toBe("zero-out");
    const facts = {
      ...({ accountant: "rdp", epsilon: 1, delta: 1e-6, maxEpsilon: 8, rounds: 3 } as const),
      ...{
        noise: "fast" as const,
        noiseMultiplier: 1,
        clippingNorm: 1,
        epsilonWithoutAmplification: 1,
        warnings: ["w"],
      },
      ...({ sampling: [fixed], adjacency: "zero-out" } as const),
    };
    const words = privacyStatement(facts);
    expect(words).toContain("its own or zero");
    expect(words).toContain("its place stays taken");
    expect(words).not.toContain("knows who took part");
    expect(words).toContain("Note: w.");
  });

  test("[PS1] it is said as it was done, each kind with its rounds", () => {
    expect(describeSampling([poisson])).toContain("coin of probability 0.1");
    expect(describeSampling([capped])).toContain("of more than 150 heads 150 are chosen evenly");
    for (const drawn of [
      none,
      fixed,
      { claim: { kind: "poisson", samplingRate: 1 }, rounds: 1 } as const,
    ]) {
      expect(describeSampling([drawn])).toContain("not counted on for privacy");
      expect(isAmplified(drawn)).toBe(false);
    }
    const both = describeSampling([poisson, none]);
    expect(both).toContain("in 7 rounds each waiting client");
    expect(both).toContain("in 1 rounds the choice");
  });

  test("[PS3] a delta above 1 / N^1.1 is warned of, one at or below it is not", () => {
    // 1000^-1.1 = 5.01e-4.
    expect(warningsAbout([poisson], 5.1e-4, 1000)).toEqual([expect.stringContaining("1 / N^1.1")]);
    expect(warningsAbout([poisson], 5e-4, 1000)).toEqual([]);
    expect(warningsAbout([poisson], 0.5, undefined)).toEqual([]);
  });

  test("[PS3] a cap that binds often is warned of", () => {
    expect(warningsAbout([capped], 1e-6, 1000)).toEqual([]);
    const tight = { ...capped, claim: { ...capped.claim, cap: 120 } };
    expect(warningsAbout([tight], 1e-6, 1000)).toEqual([
      expect.stringContaining("sampler.maxCohort"),
    ]);
    expect(
      warningsAbout([{ ...capped, claim: { ...capped.claim, cap: 1000 } }], 1e-6, 1000),
    ).toEqual([]);
  });
});
