import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { canAfford, epsilonOf, roundsLeft } from "./accountant.ts";
import { rdpOfSampledGaussian } from "./rdp.ts";

/** Expected values from independent code; each file names it. */
function vectors<Row>(name: string): Row[] {
  const file = new URL(`../../../test/vectors/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { vectors: Row[] }).vectors;
}

const repeat = (noiseMultiplier: number, samplingRate: number, rounds: number) =>
  Array.from({ length: rounds }, () => ({ noiseMultiplier, samplingRate }));

describe("Renyi divergence of the sampled Gaussian", () => {
  test("[DP1] every order, whole or fractional, is within 1e-8 of 40-digit arithmetic", () => {
    interface Row {
      q: number;
      sigma: number;
      rdp: { order: number; rdp_mpmath40: number | null | string }[];
    }
    let checked = 0;
    for (const { q, sigma, rdp } of vectors<Row>("rdp_poisson_gaussian_orders")) {
      for (const { order, rdp_mpmath40: exact } of rdp) {
        if (typeof exact !== "number") continue;
        // Below order 2 at tiny q the result is a difference of nearly equal moments.
        const tolerance = order < 2 && q <= 1e-3 ? 1e-5 : 1e-8;
        const ours = rdpOfSampledGaussian(q, sigma, order);
        expect(
          Math.abs(ours / exact - 1),
          `q=${q} z=${sigma} order=${order}: ${ours}, ${exact}`,
        ).toBeLessThan(tolerance);
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
      const { epsilon, order } = epsilonOf(repeat(row.sigma, row.q, row.T), row.delta);
      expect(epsilon).toBeLessThanOrEqual(row.eps_rdp * (1 + 1e-6));
      if (row.eps_exact !== null)
        expect(epsilon).toBeGreaterThanOrEqual(row.eps_exact * (1 - 1e-9));
      // Our orders above 63 are finer than the reference's: there we may only be better.
      if (typeof row.eps_rdp_exact_orders !== "number" || order > 63) continue;
      const error = Math.abs(epsilon / row.eps_rdp_exact_orders - 1);
      expect(error, JSON.stringify(row)).toBeLessThan(1e-5);
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
      const charges = row.events.map(({ q, sigma }) => ({
        samplingRate: q,
        noiseMultiplier: sigma,
      }));
      for (let rounds = 1; rounds <= expected.length; rounds += 29) {
        const { epsilon } = epsilonOf(charges.slice(0, rounds), row.delta);
        expect(epsilon).toBeLessThanOrEqual(expected[rounds - 1]! * (1 + 1e-6));
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(15);
  });

  test("[DP2] of nothing is nothing, and order does not matter", () => {
    expect(epsilonOf([], 1e-5).epsilon).toBe(0);
    const a = { noiseMultiplier: 1, samplingRate: 0.1 };
    const b = { noiseMultiplier: 2, samplingRate: 1 };
    expect(epsilonOf([a, b, a], 1e-5).epsilon).toBeCloseTo(epsilonOf([b, a, a], 1e-5).epsilon, 12);
  });

  test("[DP3] the budget is never overspent: roundsLeft is exactly what canAfford grants", () => {
    const next = { noiseMultiplier: 1, samplingRate: 0.1 };
    const spent = repeat(1, 0.1, 10);
    const left = roundsLeft(spent, next, 1e-5, 4);
    expect(left).toBeGreaterThan(0);
    expect(canAfford([...spent, ...repeat(1, 0.1, left - 1)], next, 1e-5, 4)).toBe(true);
    expect(canAfford([...spent, ...repeat(1, 0.1, left)], next, 1e-5, 4)).toBe(false);
    expect(roundsLeft(repeat(1, 1, 100), next, 1e-5, 4)).toBe(0);
  });

  test("[DP4] what cannot be accounted is refused", () => {
    for (const charge of [
      { noiseMultiplier: 0, samplingRate: 0.1 },
      { noiseMultiplier: Number.NaN, samplingRate: 0.1 },
      { noiseMultiplier: 1, samplingRate: 1.1 },
      { noiseMultiplier: 1, samplingRate: Number.NaN },
    ]) {
      expect(() => epsilonOf([charge], 1e-5)).toThrow(/CONFIG_INVALID|must be|needs/);
    }
    for (const delta of [0, 1, -1, Number.NaN]) expect(() => epsilonOf([], delta)).toThrow("delta");
  });
});
