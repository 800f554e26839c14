import { readFileSync } from "node:fs";

import { epsilonOfGaussian, isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { calibrateLocalNoise, localEpsilon, localRounds } from "./local-gaussian.ts";

interface Row {
  kind?: string;
  epsilon: number;
  delta: number;
  sigma_for_clip_1_replace_one: number;
}
const { vectors } = JSON.parse(
  readFileSync(
    new URL("../../../test/vectors/gaussian_analytic_ldp.json", import.meta.url),
    "utf8",
  ),
) as { vectors: Row[] };

test("[LD14] noise calibrated for one update is an independent library's to 1e-9", () => {
  for (const { kind, epsilon, delta, sigma_for_clip_1_replace_one } of vectors) {
    if (kind !== undefined) continue;
    const target = { targetEpsilon: epsilon, delta, rounds: 1 };
    const { noiseMultiplier } = calibrateLocalNoise(target);
    expect(Math.abs((2 * noiseMultiplier) / sigma_for_clip_1_replace_one - 1)).toBeLessThan(1e-9);
  }
});

test("[LD14] calibrated noise never costs more than the target, and a ledger grants all the rounds it is for", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 50, noNaN: true }),
      fc.constantFrom(1e-3, 1e-6, 1e-12),
      fc.integer({ min: 1, max: 20_000 }),
      (targetEpsilon, delta, rounds) => {
        const { noiseMultiplier, epsilon } = calibrateLocalNoise({ targetEpsilon, delta, rounds });
        expect(epsilon).toBeLessThanOrEqual(targetEpsilon);
        expect(epsilon).toBeGreaterThan(targetEpsilon * (1 - 1e-8));
        expect(epsilon).toBe(localEpsilon({ noiseMultiplier, delta, rounds }));
        expect(localRounds({ noiseMultiplier, delta, maxEpsilon: targetEpsilon })).toBe(rounds);
        // As the client's ledger adds up: one by one.
        let muSquared = 0;
        for (let i = 0; i < rounds; i++) muSquared += noiseMultiplier ** -2;
        expect(epsilonOfGaussian(Math.sqrt(muSquared), delta)).toBeLessThanOrEqual(targetEpsilon);
      },
    ),
    { numRuns: 40 },
  );
});

test("[LD14] a target that cannot be is refused with every fault", () => {
  for (const target of [
    { targetEpsilon: 0, delta: 1e-5, rounds: 1 },
    { targetEpsilon: Infinity, delta: 1e-5, rounds: 1 },
    { targetEpsilon: 1, delta: 0, rounds: 1 },
    { targetEpsilon: 1, delta: 1, rounds: 1 },
    { targetEpsilon: 1, delta: Number.NaN, rounds: 1 },
    { targetEpsilon: 1, delta: 1e-5, rounds: 1.5 },
  ]) {
    expect(() => calibrateLocalNoise(target)).toThrow(/targetEpsilon|delta|rounds/);
    try {
      calibrateLocalNoise(target);
    } catch (error) {
      expect(isFederatedError(error) && error.code).toBe("CONFIG_INVALID");
    }
  }
});
