import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { canAfford, epsilonOf, renyiEpsilonOfGroups, roundsLeft } from "./accountant.ts";
import type { GaussianCharge } from "./charge.ts";
import { sampledGaussian } from "./charge.ts";
import { onWholeOrders, rdpOfSampledGaussian } from "./rdp.ts";

interface Vector {
  readonly sigma: number;
  readonly sensitivity: number;
  readonly T: number;
  readonly delta: number;
  readonly eps_pld_discrete: number;
  readonly eps_rdp: number;
}

const { vectors } = JSON.parse(
  readFileSync(new URL("../../../test/vectors/discrete_gaussian.json", import.meta.url), "utf8"),
) as { vectors: readonly Vector[] };

const exact = (z: number, q = 1): GaussianCharge => ({ ...sampledGaussian(z, q), noise: "exact" });

describe("charges of exact noise", () => {
  test("[NS8] they cost Renyi's bound of the discrete Gaussian, never less than its loss distribution says", () => {
    for (const { sigma, sensitivity, T, delta, eps_pld_discrete, eps_rdp } of vectors) {
      const { epsilon, accountant } = epsilonOf(
        new Array<GaussianCharge>(T).fill(exact(sigma / sensitivity)),
        delta,
      );
      expect(accountant).toBe("rdp");
      expect(epsilon).toBeGreaterThanOrEqual(eps_pld_discrete);
      expect(Math.abs(epsilon / eps_rdp - 1)).toBeLessThan(1e-3);
    }
    expect(vectors.length).toBeGreaterThan(10);
  });

  test("[NS8] between whole orders they cost the chord, which is above the continuous curve", () => {
    for (const [q, z] of [
      [0.01, 1],
      [0.2, 0.7],
      [1, 2],
    ] as const) {
      const continuous = (order: number) => rdpOfSampledGaussian(q, z, order);
      const discrete = onWholeOrders(continuous);
      for (let order = 1.1; order < 11; order += 0.1) {
        expect(discrete(order)).toBeGreaterThanOrEqual(continuous(order) * (1 - 1e-12));
      }
      for (const order of [2, 3, 64]) expect(discrete(order)).toBe(continuous(order));
      // Below 2 the chord from nothing at order 1 is the divergence of order 2.
      expect(discrete(1.5)).toBeCloseTo(continuous(2), 12);
    }
  });

  test("[NS8] one of them among others takes the loss distribution away, and no budget is overspent by it", () => {
    const fast = sampledGaussian(1, 0.01);
    const mixed = [...new Array<GaussianCharge>(99).fill(fast), exact(1, 0.01)];
    const all = new Array<GaussianCharge>(100).fill(fast);
    expect(epsilonOf(all, 1e-6).accountant).toBe("pld");
    expect(epsilonOf(mixed, 1e-6).accountant).toBe("rdp");
    expect(epsilonOf(mixed, 1e-6).epsilon).toBeGreaterThan(epsilonOf(all, 1e-6).epsilon);
    const next = exact(1, 0.01);
    const left = roundsLeft([], next, 1e-6, 2);
    const spent = new Array<GaussianCharge>(left).fill(next);
    expect(epsilonOf(spent, 1e-6).epsilon).toBeLessThanOrEqual(2);
    expect(canAfford(spent, next, 1e-6, 2)).toBe(false);
    expect(left).toBeLessThan(roundsLeft([], fast, 1e-6, 2));
  });

  test("[NS8] where a fraction is the best order, sampled exact noise costs more than continuous noise by Renyi", () => {
    for (const [q, z, rounds] of [
      [0.5, 0.5, 10],
      [0.1, 0.6, 200],
    ] as const) {
      const ask = (charge: GaussianCharge) =>
        renyiEpsilonOfGroups([{ charge, count: rounds }], 1e-5);
      const continuous = ask(sampledGaussian(z, q));
      expect(Number.isInteger(continuous.order)).toBe(false);
      expect(ask(exact(z, q)).epsilon).toBeGreaterThan(continuous.epsilon * 1.001);
      // Unsampled they are the same: zCDP.
      const [a, b] = [ask(exact(z)), ask(sampledGaussian(z, 1))];
      expect(a).toEqual(b);
    }
  });

  test("[NS8] noise that is not known here is not accounted for", () => {
    const unknown = { ...sampledGaussian(1, 1), noise: "uniform" } as unknown as GaussianCharge;
    expect(() => epsilonOf([unknown], 1e-6)).toThrow("does not know the noise");
  });
});
