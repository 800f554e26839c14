import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { epsilonOf, epsilonOfGroups, renyiEpsilonOfGroups } from "./accountant.ts";
import type { GaussianCharge } from "./charge.ts";
import { sampledGaussian } from "./charge.ts";
import type { LossDistribution } from "./loss-distribution.ts";
import { binomialMass, bindingOf, truncatedGaussianLoss } from "./loss-truncated.ts";
import { RDP_ORDERS, rdpOfSampledGaussian } from "./rdp.ts";
import { rdpOfTruncatedGaussian } from "./rdp-truncated.ts";

interface Row {
  dataset_size: number;
  q: number;
  truncated_batch_size: number;
  sigma: number;
  T: number;
  delta: number;
  eps_truncated: number;
  eps_untruncated: number;
}
const file = new URL("../../../test/vectors/truncated_poisson.json", import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Row[] };

const truncated = (
  noiseMultiplier: number,
  samplingRate: number,
  population: number,
  cap: number,
): GaussianCharge => ({
  mechanism: "gaussian",
  noiseMultiplier,
  claim: { kind: "truncatedPoisson", samplingRate, population, cap },
});

describe("a truncated Poisson sample", () => {
  test("[DP19] costs what an independent accountant says, within 1e-3, and more than one without a cap", () => {
    expect(vectors.length).toBeGreaterThan(10);
    for (const row of vectors) {
      const charge = truncated(row.sigma, row.q, row.dataset_size, row.truncated_batch_size);
      const groups = [{ charge, count: row.T }];
      const { epsilon } = epsilonOfGroups(groups, row.delta);
      expect(Math.abs(epsilon / row.eps_truncated - 1), JSON.stringify(row)).toBeLessThan(1e-3);
      expect(epsilon).toBeGreaterThan(row.eps_untruncated);
      expect(renyiEpsilonOfGroups(groups, row.delta).epsilon).toBeGreaterThan(epsilon);
    }
  }, 120_000);

  test("[DP19] of which the cap never binds is a Poisson sample", () => {
    for (const cap of [100, 1000]) {
      expect(epsilonOf([truncated(1, 0.1, 100, cap)], 1e-5)).toEqual(
        epsilonOf([sampledGaussian(1, 0.1)], 1e-5),
      );
    }
    // Everybody throws a head, and half of them have a place: the cap is what amplifies.
    const half = epsilonOf([truncated(4, 1, 100, 50)], 1e-5).epsilon;
    expect(half).toBeGreaterThan(epsilonOf([sampledGaussian(4, 0.5)], 1e-5).epsilon);
    expect(half).toBeLessThan(epsilonOf([sampledGaussian(1, 1)], 1e-5).epsilon);
  });

  test("[DP19] has a cap that binds as often as the binomial says", () => {
    // Three others with a fair coin, two places: K = 2 (3/8) or 3 (1/8), a place for 2/3 and 2/4 of heads.
    const { probability, placeRate } = bindingOf(0.5, { population: 4, cap: 2 });
    expect(probability).toBeCloseTo(1 / 2, 14);
    expect(placeRate).toBeCloseTo((0.5 * ((3 / 8) * (2 / 3) + (1 / 8) * (1 / 2))) / 0.5, 14);
    let total = 0;
    for (let k = 0; k <= 5000; k++) total += binomialMass(5000, k, 0.013);
    expect(total).toBeCloseTo(1, 11);
    expect(binomialMass(10, 3, 0.2)).toBeCloseTo(120 * 0.2 ** 3 * 0.8 ** 7, 14);
  });

  test("[DP19] has a loss that keeps its mass under both neighbours", () => {
    const { remove, add } = truncatedGaussianLoss(0.1, 1, { population: 50, cap: 6 }, 1e-3, 1e-15);
    const total = ({ mass, infinity }: LossDistribution) =>
      mass.reduce((sum, p) => sum + p, infinity);
    const underQ = ({ h, first, mass }: LossDistribution) =>
      mass.reduce((sum, p, i) => sum + p * Math.exp(-(first + i) * h), 0);
    for (const direction of [remove, add]) {
      expect(Math.abs(total(direction) - 1)).toBeLessThan(1e-12);
      expect(Math.abs(underQ(direction) - 1)).toBeLessThan(1e-11);
    }
  });

  test("[DP19] has Renyi divergences that its own losses confirm", () => {
    const truncation = { population: 50, cap: 6 };
    const { remove } = truncatedGaussianLoss(0.1, 2, truncation, 1e-3, 1e-30);
    for (const order of [1.5, 2, 3.3, 5]) {
      const moment = remove.mass.reduce(
        (sum, p, i) => sum + p * Math.exp((order - 1) * (remove.first + i) * remove.h),
        0,
      );
      const rdp = rdpOfTruncatedGaussian(0.1, 2, truncation, order);
      // The grid adds about order h^2 / 12.
      expect(Math.abs(rdp / (Math.log(moment) / (order - 1)) - 1)).toBeLessThan(1e-4);
    }
    for (const order of RDP_ORDERS) {
      expect(rdpOfTruncatedGaussian(0.1, 2, truncation, order)).toBeGreaterThan(
        rdpOfSampledGaussian(0.1, 2, order),
      );
    }
  });

  test("[DP19] is refused where its numbers cannot be", () => {
    const refused = expect.objectContaining({ code: "CONFIG_INVALID" });
    for (const charge of [
      truncated(1, 0.1, 0, 5),
      truncated(1, 0.1, 100, 0),
      truncated(1, 0.1, 100, 2.5),
      truncated(1, 0.1, Number.NaN, 5),
      truncated(1, 1.1, 100, 5),
      truncated(Number.NaN, 0.1, 100, 5),
    ]) {
      expect(() => epsilonOf([charge], 1e-5)).toThrow(refused);
    }
  });
});
