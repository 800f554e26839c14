import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { epsilonOf, renyiEpsilonOfGroups } from "./accountant.ts";
import type { Charge } from "./charge.ts";
import { groupCharges, sampledGaussian } from "./charge.ts";
import { createRdpFilter, createRdpOdometer } from "./odometer.ts";
import { RDP_ORDERS } from "./rdp.ts";

interface Row {
  name: string;
  delta: number;
  events: { q: number; sigma: number }[];
  eps_rdp_after_each_round: number[];
}
const file = new URL("../../../test/vectors/odometer.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Row[] };

const charges = fc.array(
  fc
    .tuple(fc.double({ min: 0.5, max: 20, noNaN: true }), fc.constantFrom(0.01, 0.1, 1))
    .map(([z, q]) => sampledGaussian(z, q)),
  { minLength: 1, maxLength: 12 },
);

describe("the odometer", () => {
  test("[DP21] reads after each round at most what an independent one does, and never less than all of it", () => {
    expect(vectors.length).toBeGreaterThan(2);
    for (const { name, delta, events, eps_rdp_after_each_round: expected } of vectors) {
      const odometer = createRdpOdometer();
      events.forEach(({ q, sigma }, i) => {
        odometer.add(sampledGaussian(sigma, q));
        const epsilon = odometer.epsilon(delta);
        expect(epsilon, `${name} ${i}`).toBeLessThanOrEqual(expected[i]! * (1 + 1e-6));
        expect(epsilon, `${name} ${i}`).toBeGreaterThan(expected[i]! * 0.9);
      });
      const made = events.map(({ q, sigma }) => sampledGaussian(sigma, q));
      const { epsilon } = renyiEpsilonOfGroups(groupCharges(made), delta);
      expect(odometer.epsilon(delta) / epsilon).toBeCloseTo(1, 9);
    }
  });

  test("[DP21] read adaptively costs more than a plan that was fixed, and at most so much more", () => {
    fc.assert(
      fc.property(charges, (made) => {
        const odometer = createRdpOdometer();
        for (const charge of made) odometer.add(charge, 3);
        const fixed = odometer.epsilon(1e-6);
        const adaptive = odometer.adaptiveEpsilon(1e-6);
        expect(adaptive).toBeGreaterThan(fixed);
        // The sum by a tenth, and the least share of delta that any order has here.
        const share = 1e-6 / (RDP_ORDERS.length * 202 * 203);
        expect(adaptive).toBeLessThan(1.1 * odometer.epsilon(share) + 0.3);
      }),
      { numRuns: 30 },
    );
    const one = createRdpOdometer();
    one.add(sampledGaussian(5, 1), 10);
    // No order may have all of delta, as any of them may turn out to be the best.
    expect(one.adaptiveEpsilon(1e-6)).toBeGreaterThan(one.epsilon(1e-6 / RDP_ORDERS.length));
    expect(createRdpOdometer().adaptiveEpsilon(1e-6)).toBe(0);
    expect(createRdpOdometer().epsilon(1e-6)).toBe(0);
  });

  test("[DP21] takes no charge, count or delta that nothing can be said about", () => {
    const odometer = createRdpOdometer();
    const refused = expect.objectContaining({ code: "CONFIG_INVALID" });
    expect(() => odometer.add(sampledGaussian(Number.NaN, 0.1))).toThrow(refused);
    expect(() => odometer.add({ mechanism: "laplace" } as unknown as Charge)).toThrow(refused);
    expect(() => odometer.add(sampledGaussian(1, 0.1), 0.5)).toThrow(refused);
    expect(() => odometer.add(sampledGaussian(1, 0.1), -1)).toThrow(refused);
    for (const delta of [0, 1, Number.NaN]) {
      expect(() => odometer.epsilon(delta)).toThrow(refused);
      expect(() => odometer.adaptiveEpsilon(delta)).toThrow(refused);
    }
    expect(odometer.epsilon(1e-6)).toBe(0);
  });
});

describe("the filter", () => {
  test("[DP21] refuses before the charge that would overspend, whatever was chosen before, and takes nothing then", () => {
    fc.assert(
      fc.property(charges, fc.constantFrom(undefined, 4, 8, 16), (wanted, order) => {
        const delta = 1e-6;
        const maxEpsilon = 3;
        const filter = createRdpFilter({ maxEpsilon, delta, ...(order ? { order } : {}) });
        const taken: Charge[] = [];
        for (const charge of [...wanted, ...wanted, ...wanted]) {
          const before = filter.epsilon();
          const affords = filter.affords(charge);
          expect(filter.spend(charge)).toBe(affords);
          if (affords) taken.push(charge);
          else expect(filter.epsilon()).toBe(before);
          expect(filter.epsilon()).toBeLessThanOrEqual(maxEpsilon);
        }
        // What was taken costs less than the budget by every bound.
        expect(epsilonOf(taken, delta).epsilon).toBeLessThanOrEqual(filter.epsilon());
      }),
      { numRuns: 30 },
    );
  });

  test("[DP21] with one order fixed beforehand spends what that order says, and nothing of delta on choosing", () => {
    const charge = sampledGaussian(5, 1);
    const one = createRdpFilter({ maxEpsilon: 4, delta: 1e-6, order: 10 });
    const all = createRdpFilter({ maxEpsilon: 4, delta: 1e-6 });
    const count = (filter: typeof one) => {
      let rounds = 0;
      while (filter.spend(charge)) rounds += 1;
      return rounds;
    };
    // rdp = 10 n / 50, converted by log1p(-1 / 10) - log(1e-5) / 9.
    const left = 4 - (Math.log1p(-0.1) - Math.log(1e-5) / 9);
    const rounds = count(one);
    expect(rounds).toBe(Math.floor(left / 0.2));
    expect(count(all)).toBeLessThan(rounds);
    expect(RDP_ORDERS).toContain(10);
  });

  test("[DP21] has no budget that is no number, and no order that nobody follows", () => {
    for (const options of [
      { maxEpsilon: Number.NaN, delta: 1e-6 },
      { maxEpsilon: Infinity, delta: 1e-6 },
      { maxEpsilon: 0, delta: 1e-6 },
      { maxEpsilon: 1, delta: 0 },
      { maxEpsilon: 1, delta: 1e-6, order: 1 },
      { maxEpsilon: 1, delta: 1e-6, order: 7.77 },
    ]) {
      expect(() => createRdpFilter(options)).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
    }
    const filter = createRdpFilter({ maxEpsilon: 1, delta: 1e-6 });
    expect(() => filter.spend(sampledGaussian(0, 1))).toThrow("noiseMultiplier");
    expect(filter.spend(sampledGaussian(1e-200, 1))).toBe(false);
    expect(filter.epsilon()).toBe(0);
  });
});
