import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { canAfford, epsilonOf, renyiEpsilonOfGroups, roundsLeft } from "./accountant.ts";
import type { Charge } from "./charge.ts";
import { groupCharges, sampledGaussian } from "./charge.ts";
import { rdpOfSampledGaussian } from "./rdp.ts";

/** Expected values from independent code; each file names it. */
function vectors<Row>(name: string): Row[] {
  const file = new URL(`../../../test/vectors/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { vectors: Row[] }).vectors;
}

const repeat = (noiseMultiplier: number, samplingRate: number, rounds: number) =>
  Array.from({ length: rounds }, () => sampledGaussian(noiseMultiplier, samplingRate));

const renyiEpsilonOf = (charges: Iterable<Charge>, delta: number) =>
  renyiEpsilonOfGroups(groupCharges(charges), delta);

describe("Renyi divergence of the sampled Gaussian", () => {
  test("[DP1] every order, whole or fractional, is within 1e-12 of 40-digit arithmetic", () => {
    interface Row {
      q: number;
      sigma: number;
      rdp: { order: number; rdp_mpmath40: number | null | string }[];
    }
    let checked = 0;
    for (const { q, sigma, rdp } of vectors<Row>("rdp_poisson_gaussian_orders")) {
      for (const { order, rdp_mpmath40: exact } of rdp) {
        if (typeof exact !== "number") continue;
        const ours = rdpOfSampledGaussian(q, sigma, order);
        expect(
          Math.abs(ours / exact - 1),
          `q=${q} z=${sigma} order=${order}: ${ours}, ${exact}`,
        ).toBeLessThan(1e-12);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(100);
  });

  test("[DP1] no sampling gives the closed form, no chance gives nothing", () => {
    expect(rdpOfSampledGaussian(1, 2, 5)).toBe(5 / 8);
    expect(rdpOfSampledGaussian(0, 2, 5)).toBe(0);
  });
});

describe("Renyi divergence at the edges", () => {
  test("[DP1] a sampling rate so small that the moment rounds to 1 still costs what it costs", () => {
    // A second-order expansion in q: a q^2 (e^(1 / z^2) - 1) / 2, wrong by a further factor of order q.
    for (const q of [1e-7, 1e-9, 1e-12]) {
      for (const z of [1, 10, 50]) {
        for (const order of [1.1, 1.5, 2, 2.5, 4, 10.9]) {
          const leading = (order * q * q * Math.expm1(1 / (z * z))) / 2;
          const ratio = rdpOfSampledGaussian(q, z, order) / leading;
          expect(Math.abs(ratio - 1), `q=${q} z=${z} order=${order}`).toBeLessThan(1e3 * q + 1e-9);
        }
      }
    }
    expect(epsilonOf([sampledGaussian(1, 1e-9)], 1e-10).epsilon).toBeGreaterThan(0);
  });

  test("[DP1] the integral of fractional orders meets the finite sum of whole ones, at any noise", () => {
    for (const z of [0.1, 0.15, 0.2, 0.3, 0.7, 1.3, 4, 100]) {
      for (const q of [1e-9, 1e-4, 0.01, 0.3, 0.9, 0.999]) {
        for (const order of [2, 3, 5, 10]) {
          const whole = rdpOfSampledGaussian(q, z, order);
          const beside = rdpOfSampledGaussian(q, z, order + 1e-9);
          expect(Math.abs(beside / whole - 1), `q=${q} z=${z} order=${order}`).toBeLessThan(1e-7);
        }
      }
    }
  });

  test("[DP1] the curve is monotone in order, sampling rate and noise, down to very little noise", () => {
    const orders = [1.1, 1.5, 2, 2.5, 5.3, 10, 10.9, 64];
    // Not strictly: below z = 0.1 fractional orders have upper bounds in common.
    const atMost = (low: number, high: number) =>
      expect(low).toBeLessThanOrEqual(high * (1 + 1e-12));
    for (const z of [0.02, 0.05, 0.09995, 0.1, 0.3, 1, 30]) {
      for (const q of [1e-6, 0.01, 0.3, 0.999]) {
        orders.forEach((order, i) => {
          const rdp = rdpOfSampledGaussian(q, z, order);
          expect(rdp).toBeGreaterThan(0);
          atMost(rdpOfSampledGaussian(q, z, orders[i - 1] ?? order), rdp);
          atMost(rdp, rdpOfSampledGaussian(q * 1.001, z, order));
          atMost(rdpOfSampledGaussian(q, z * 1.001, order), rdp);
          // Sampling only helps.
          atMost(rdp, rdpOfSampledGaussian(1, z, order));
        });
      }
    }
  });
});

describe("epsilon", () => {
  test("[DP2] of composed rounds is that of exact Renyi curves, two-sided", () => {
    interface Row {
      q: number;
      sigma: number;
      T: number;
      delta: number;
      eps_rdp: number;
      eps_rdp_exact_orders: number | null;
      eps_exact: number | null;
    }
    let checked = 0;
    for (const row of vectors<Row>("poisson_subsampled_gaussian")) {
      if (typeof row.eps_rdp !== "number") continue;
      const { epsilon, order } = renyiEpsilonOf(repeat(row.sigma, row.q, row.T), row.delta);
      expect(epsilon).toBeLessThanOrEqual(row.eps_rdp * (1 + 1e-6));
      if (row.eps_exact !== null)
        expect(epsilon).toBeGreaterThanOrEqual(row.eps_exact * (1 - 1e-9));
      // Our orders above 63 are finer than the reference's: there we may only be better.
      if (typeof row.eps_rdp_exact_orders !== "number" || order > 63) continue;
      const error = Math.abs(epsilon / row.eps_rdp_exact_orders - 1);
      expect(error, JSON.stringify(row)).toBeLessThan(1e-9);
      checked += 1;
    }
    expect(checked).toBeGreaterThan(50);
  });

  test("[DP2] grows round by round as an independent odometer says, also with changing rounds", () => {
    interface Row {
      delta: number;
      events: { q: number; sigma: number }[];
      eps_rdp_after_each_round: number[];
    }
    let checked = 0;
    for (const row of vectors<Row>("odometer")) {
      const expected = row.eps_rdp_after_each_round;
      const charges = row.events.map(({ q, sigma }) => sampledGaussian(sigma, q));
      for (let rounds = 1; rounds <= expected.length; rounds += 29) {
        const { epsilon } = renyiEpsilonOf(charges.slice(0, rounds), row.delta);
        expect(epsilon).toBeLessThanOrEqual(expected[rounds - 1]! * (1 + 1e-6));
        // The reference is loose at fractional orders and lacks some of ours, but never by so much.
        expect(epsilon).toBeGreaterThanOrEqual(expected[rounds - 1]! * 0.9);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(15);
  });

  test("[DP2] converts a Renyi curve as an independent accountant does, and is above the exact value", () => {
    type Row =
      | { kind: "delta" }
      | {
          kind: "epsilon";
          sigma: number;
          T: number;
          delta: number;
          epsilon: number;
          order: number;
          exact_epsilon: number;
        };
    let checked = 0;
    for (const row of vectors<Row>("rdp_to_eps_delta")) {
      if (row.kind !== "epsilon") continue;
      const { epsilon, order } = renyiEpsilonOf(repeat(row.sigma, 1, row.T), row.delta);
      expect(Math.abs(epsilon - row.epsilon)).toBeLessThan(1e-10);
      expect(order).toBe(row.order);
      expect(epsilon).toBeGreaterThan(row.exact_epsilon);
      checked += 1;
    }
    expect(checked).toBeGreaterThan(10);
  });

  test("[DP2] of nothing is nothing, and order does not matter", () => {
    expect(epsilonOf([], 1e-5).epsilon).toBe(0);
    const a = sampledGaussian(1, 0.1);
    const b = sampledGaussian(2, 1);
    expect(epsilonOf([a, b, a], 1e-5).epsilon).toBeCloseTo(epsilonOf([b, a, a], 1e-5).epsilon, 12);
  });

  test("[DP3] the budget is never overspent: roundsLeft is exactly what canAfford grants", () => {
    const next = sampledGaussian(1, 0.1);
    const spent = repeat(1, 0.1, 10);
    const left = roundsLeft(spent, next, 1e-5, 4);
    expect(left).toBeGreaterThan(0);
    expect(canAfford([...spent, ...repeat(1, 0.1, left - 1)], next, 1e-5, 4)).toBe(true);
    expect(canAfford([...spent, ...repeat(1, 0.1, left)], next, 1e-5, 4)).toBe(false);
    expect(roundsLeft(repeat(1, 1, 100), next, 1e-5, 4)).toBe(0);
  });

  test("[DP3] a budget that is no number, or an epsilon without bound, affords nothing", () => {
    const next = sampledGaussian(1, 0.1);
    expect(canAfford([], next, 1e-5, Number.NaN)).toBe(false);
    expect(roundsLeft([], next, 1e-5, Number.NaN)).toBe(0);
    const noiseless = sampledGaussian(1e-200, 0.5);
    expect(epsilonOf([noiseless], 1e-5).epsilon).toBe(Infinity);
    expect(canAfford([], noiseless, 1e-5, Infinity)).toBe(false);
    expect(roundsLeft([], noiseless, 1e-5, Infinity)).toBe(0);
  });

  test("[DP3] a ledger of many equal and unequal charges counts each of them", () => {
    const a = sampledGaussian(1, 0.01);
    const b = sampledGaussian(1.5, 0.02);
    const spent = Array.from({ length: 600 }, (_, i) => (i % 3 === 0 ? b : a));
    const left = roundsLeft(spent, a, 1e-6, 6);
    expect(left).toBeGreaterThan(0);
    expect(epsilonOf([...spent, ...repeat(1, 0.01, left)], 1e-6).epsilon).toBeLessThanOrEqual(6);
    expect(epsilonOf([...spent, ...repeat(1, 0.01, left + 1)], 1e-6).epsilon).toBeGreaterThan(6);
  });

  test("[DP16] a claim or mechanism that is not known is refused, however little else there is", () => {
    const known = sampledGaussian(1, 0.1);
    const charges = [
      { ...known, claim: { kind: "shuffled", samplingRate: 1e-9 } },
      { ...known, claim: {} },
      { ...known, mechanism: "laplace" },
    ] as unknown as Charge[];
    const refused = expect.objectContaining({ code: "CONFIG_INVALID" });
    for (const charge of charges) {
      expect(() => epsilonOf([known, charge], 1e-5)).toThrow(refused);
      expect(() => canAfford([], charge, 1e-5, 8)).toThrow(refused);
      expect(() => canAfford([charge], known, 1e-5, 8)).toThrow(refused);
      expect(() => roundsLeft([charge], known, 1e-5, 8)).toThrow(refused);
    }
  });

  test("[DP16] only independent coins amplify: a cohort of fixed size, or of everybody, costs all of it", () => {
    const whole = epsilonOf([sampledGaussian(2, 1)], 1e-5).epsilon;
    for (const claim of [{ kind: "none" }, { kind: "fixedSize", cohortSize: 3 }] as const) {
      const charge = { mechanism: "gaussian", noiseMultiplier: 2, claim } as const;
      expect(epsilonOf([charge], 1e-5).epsilon).toBe(whole);
    }
    expect(epsilonOf([{ mechanism: "matrix", noiseMultiplier: 2 }], 1e-5).epsilon).toBe(whole);
    expect(epsilonOf([sampledGaussian(2, 0.1)], 1e-5).epsilon).toBeLessThan(whole / 2);
  });

  test("[DP4] what cannot be accounted is refused", () => {
    for (const charge of [
      sampledGaussian(0, 0.1),
      sampledGaussian(-1, 0.1),
      sampledGaussian(Infinity, 0.1),
      sampledGaussian(Number.NaN, 0.1),
      sampledGaussian(1, -0.1),
      sampledGaussian(1, 1.1),
      sampledGaussian(1, Number.NaN),
    ]) {
      const refused = expect.objectContaining({ code: "CONFIG_INVALID" });
      expect(() => epsilonOf([charge], 1e-5)).toThrow(refused);
      expect(() => canAfford([], charge, 1e-5, 8)).toThrow(refused);
      expect(() => roundsLeft([], charge, 1e-5, 8)).toThrow(refused);
    }
    const charge = sampledGaussian(1, 0.1);
    for (const delta of [0, 1, -1, Number.NaN]) {
      expect(() => epsilonOf([], delta)).toThrow("delta");
      expect(() => canAfford([], charge, delta, 8)).toThrow("delta");
      expect(() => roundsLeft([], charge, delta, 8)).toThrow("delta");
    }
  });
});
