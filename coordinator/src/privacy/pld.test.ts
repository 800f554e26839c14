import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { epsilonOf, epsilonOfGroups, renyiEpsilonOfGroups } from "./accountant.ts";
import { calibrateNoise } from "./calibrate.ts";
import { createFourierTransform } from "./fft.ts";
import { deltaOfGaussian, epsilonOfGaussian } from "./gaussian-curve.ts";
import type { LossDistribution } from "./loss-distribution.ts";
import { releasesOf, sampledGaussian } from "./charge.ts";
import { sampledGaussianLoss } from "./loss-distribution.ts";
import { epsilonOfLoss } from "./pld.ts";

/** Expected values from independent code; each file names it. */
function vectors<Row>(name: string): Row[] {
  const file = new URL(`../../../test/vectors/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { vectors: Row[] }).vectors;
}

const plan = (samplingRate: number, noiseMultiplier: number, count: number) => [
  { charge: sampledGaussian(noiseMultiplier, samplingRate), count },
];
const byLoss = (groups: ReturnType<typeof plan>, delta: number) =>
  epsilonOfLoss(releasesOf(groups), delta, renyiEpsilonOfGroups(groups, delta));

describe("epsilon by privacy loss", () => {
  interface Row {
    q: number;
    sigma: number;
    T: number;
    delta: number;
    eps_pld: number | null | string;
    eps_exact: number | null;
  }

  test("[DP11] is never below the exact value and at most 1e-4 above it", () => {
    let checked = 0;
    for (const row of vectors<Row>("poisson_subsampled_gaussian")) {
      if (row.eps_exact === null) continue;
      const error = byLoss(plan(row.q, row.sigma, row.T), row.delta) / row.eps_exact - 1;
      // 1e-12: what the exact value itself is good for.
      expect(error, JSON.stringify(row)).toBeGreaterThan(-1e-12);
      expect(error, JSON.stringify(row)).toBeLessThan(1e-4);
      checked += 1;
    }
    expect(checked).toBeGreaterThan(100);
  }, 120_000);

  test("[DP11] is an independent accountant's where no exact value is known", () => {
    let checked = 0;
    for (const row of vectors<Row>("poisson_subsampled_gaussian")) {
      if (row.eps_exact !== null || typeof row.eps_pld !== "number") continue;
      const error = byLoss(plan(row.q, row.sigma, row.T), row.delta) / row.eps_pld - 1;
      expect(error, JSON.stringify(row)).toBeLessThan(1e-3);
      // The reference's own grid makes it too large where q is 1e-4.
      if (row.q > 1e-4) expect(error, JSON.stringify(row)).toBeGreaterThan(-1e-3);
      checked += 1;
    }
    expect(checked).toBeGreaterThan(10);
  }, 120_000);

  test("[DP11] holds at tiny delta, where a plain transform falls below the truth", () => {
    // Exact values by contour integration, to the digits given: 10.3467 and 5.0814.
    expect(byLoss(plan(0.01, 1, 10_000), 1e-12)).toBeGreaterThan(10.34665);
    expect(byLoss(plan(0.01, 1, 10_000), 1e-12)).toBeLessThan(10.34775);
    expect(byLoss(plan(0.05, 5, 5_000), 1e-12)).toBeGreaterThan(5.08135);
    expect(byLoss(plan(0.05, 5, 5_000), 1e-12)).toBeLessThan(5.08195);
  });

  test("[DP11] holds where e^epsilon is beyond a double", () => {
    // The closed form of one release below, in 60 digits (mpmath).
    for (const [q, z, delta, exact] of [
      [1e-9, 0.01, 1e-12, 5287.3151355845375],
      [1e-3, 0.02, 1e-5, 1358.432322763088],
      [0.5, 0.02, 1e-6, 1478.9195376657872],
      [1e-9, 0.027, 1e-12, 778.64056888406],
      [0.1, 0.03, 1e-300, 1785.4114523605383],
    ] as const) {
      const error = byLoss(plan(q, z, 1), delta) / exact - 1;
      expect(error, `${q} ${z}`).toBeGreaterThan(0);
      expect(error, `${q} ${z}`).toBeLessThan(1e-4);
    }
  });

  test("[DP11] one release has a closed form", () => {
    // remove: delta(eps) = q delta_1, with e^eps measured against the mixture (Balle, Barthe, Gaboardi 2018).
    for (const [q, z, delta] of [
      [0.1, 1, 1e-6],
      [0.5, 2, 1e-5],
      [0.01, 0.5, 1e-4],
      [0.9, 3, 1e-9],
    ] as const) {
      const whole = epsilonOfGaussian(1 / z, delta / q);
      const exact = Math.log1p(q * Math.expm1(whole));
      const error = byLoss(plan(q, z, 1), delta) / exact - 1;
      expect(error, `q=${q} z=${z}`).toBeGreaterThan(-1e-12);
      expect(error, `q=${q} z=${z}`).toBeLessThan(1e-4);
    }
  });

  test("[DP11] the smaller bound counts, and says which it is", () => {
    const { epsilon, accountant } = epsilonOfGroups(plan(0.01, 1, 1000), 1e-6);
    expect(accountant).toBe("pld");
    expect(epsilon).toBeLessThan(renyiEpsilonOfGroups(plan(0.01, 1, 1000), 1e-6).epsilon);
    // Nobody is sampled, or nothing is left of the loss: zero by both.
    expect(epsilonOfGroups(plan(0, 1, 1000), 1e-6).epsilon).toBe(0);
    expect(epsilonOfGroups(plan(0.01, 1e6, 1), 1e-3).epsilon).toBe(0);
  });

  test("[DP11] extremes give a bound of at least zero and never more than Renyi's", () => {
    for (const [q, z, rounds, delta] of [
      [1e-6, 1, 10_000, 1e-9],
      [1e-9, 0.5, 10, 1e-15],
      [0.999, 1, 100, 1e-6],
      [0.01, 0.1, 10, 1e-6],
      [0.3, 0.05, 2, 1e-6],
      [0.5, 100, 3, 1e-3],
      [0.001, 1, 10, 0.5],
    ] as const) {
      const { epsilon } = epsilonOfGroups(plan(q, z, rounds), delta);
      expect(epsilon).toBeGreaterThanOrEqual(0);
      expect(epsilon).toBeLessThanOrEqual(renyiEpsilonOfGroups(plan(q, z, rounds), delta).epsilon);
    }
  });

  test("[DP12] of unequal releases is an independent accountant's, in any order", () => {
    interface Odometer {
      name: string;
      delta: number;
      events: { q: number; sigma: number }[];
      eps_pld_checkpoints: { round: number; eps_pld: number }[];
    }
    let checked = 0;
    for (const row of vectors<Odometer>("odometer")) {
      const charges = row.events.map(({ q, sigma }) => sampledGaussian(sigma, q));
      for (const { round, eps_pld } of row.eps_pld_checkpoints) {
        const { epsilon } = epsilonOf(charges.slice(0, round), row.delta);
        expect(Math.abs(epsilon / eps_pld - 1), `${row.name} ${round}`).toBeLessThan(1e-3);
        checked += 1;
      }
      const backwards = epsilonOf(charges.toReversed(), row.delta).epsilon;
      expect(backwards / epsilonOf(charges, row.delta).epsilon).toBeCloseTo(1, 9);
    }
    expect(checked).toBeGreaterThan(20);
  });

  test("[DP12] sampled and unsampled releases compose", () => {
    const both = [...plan(0.01, 1, 500), ...plan(1, 20, 4)];
    const together = epsilonOfGroups(both, 1e-6).epsilon;
    const sampled = epsilonOfGroups(plan(0.01, 1, 500), 1e-6).epsilon;
    expect(together).toBeGreaterThan(sampled);
    // The unsampled ones as sampled ones of a rate just below 1 are the limit.
    const limit = byLoss([...plan(0.01, 1, 500), ...plan(0.999999, 20, 4)], 1e-6);
    expect(Math.abs(together / limit - 1)).toBeLessThan(1e-4);
  });
});

describe("the curve of a Gaussian", () => {
  test("[DP13] is an independent library's to 1e-9", () => {
    type Row =
      | { kind: "epsilon_of_sigma"; sigma: number; epsilon: number; delta: number }
      | {
          kind?: undefined;
          epsilon: number;
          delta: number;
          sigma_analytic: number;
          sigma_classical: number;
          true_epsilon_of_classical: number;
        };
    const rows = vectors<Row>("gaussian_analytic_ldp");
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) {
      if (row.kind === "epsilon_of_sigma") {
        const epsilon = epsilonOfGaussian(1 / row.sigma, row.delta);
        expect(Math.abs(epsilon / row.epsilon - 1), JSON.stringify(row)).toBeLessThan(1e-9);
        continue;
      }
      const epsilon = epsilonOfGaussian(1 / row.sigma_analytic, row.delta);
      expect(Math.abs(epsilon / row.epsilon - 1), JSON.stringify(row)).toBeLessThan(1e-9);
      const classical = epsilonOfGaussian(1 / row.sigma_classical, row.delta);
      expect(Math.abs(classical / row.true_epsilon_of_classical - 1)).toBeLessThan(1e-9);
    }
  });

  test("[DP13] of many releases is that of one with the root of the sum of squares", () => {
    expect(epsilonOfGroups(plan(1, 10, 100), 1e-6).epsilon).toBe(epsilonOfGaussian(1, 1e-6));
    const unequal = [...plan(1, 3, 1), ...plan(1, 4, 1)];
    expect(epsilonOfGroups(unequal, 1e-6).epsilon).toBeCloseTo(epsilonOfGaussian(5 / 12, 1e-6), 12);
  });

  test("[DP13] falls in epsilon, grows in mu, and gives nothing where there is nothing", () => {
    for (const mu of [1e-4, 0.1, 1, 10, 60]) {
      const deltas = [0, 0.1, 1, 5, 50].map((epsilon) => deltaOfGaussian(mu, epsilon));
      for (const [i, delta] of deltas.entries()) {
        expect(delta).toBeGreaterThanOrEqual(0);
        if (i > 0) expect(delta).toBeLessThanOrEqual(deltas[i - 1] as number);
      }
    }
    expect(epsilonOfGaussian(0, 1e-6)).toBe(0);
    expect(epsilonOfGaussian(1e-9, 1e-6)).toBe(0);
  });
});

describe("the loss of one release", () => {
  const total = ({ mass, infinity }: LossDistribution) =>
    mass.reduce((sum, p) => sum + p, infinity);
  const totalUnderQ = ({ h, first, mass }: LossDistribution) =>
    mass.reduce((sum, p, i) => sum + p * Math.exp(-(first + i) * h), 0);

  test("[DP14] keeps its mass under both neighbours, in both directions", () => {
    for (const [q, z, h] of [
      [0.01, 1, 1e-3],
      [0.2, 3, 5e-3],
      [0.9, 0.5, 0.05],
      [1e-4, 0.3, 1e-3],
    ] as const) {
      const { remove, add } = sampledGaussianLoss(q, z, h, 1e-15);
      for (const direction of [remove, add]) {
        expect(Math.abs(total(direction) - 1), `q=${q} z=${z}`).toBeLessThan(1e-12);
        expect(Math.abs(totalUnderQ(direction) - 1), `q=${q} z=${z}`).toBeLessThan(1e-12);
        expect(direction.mass.every((p) => p >= 0)).toBe(true);
      }
    }
  });

  test("[DP14] what is cut off counts as infinite loss, never as none", () => {
    const { remove } = sampledGaussianLoss(0.1, 1, 1e-3, 1e-4);
    expect(remove.infinity).toBeGreaterThan(1e-5);
    expect(remove.infinity).toBeLessThanOrEqual(1e-4);
    expect(total(remove)).toBeGreaterThan(1 - 1e-12);
  });

  test("[DP14] a transform and back is the same vector, and a product is a convolution", () => {
    const size = 64;
    const { forward, inverse } = createFourierTransform(size);
    const re = Float64Array.from({ length: size }, (_, i) => Math.sin(i * i));
    const im = Float64Array.from({ length: size }, (_, i) => Math.cos(3 * i));
    const [x, y] = [re.slice(), im.slice()];
    forward(x, y);
    inverse(x, y);
    for (let i = 0; i < size; i++) {
      expect(x[i]).toBeCloseTo(re[i] as number, 12);
      expect(y[i]).toBeCloseTo(im[i] as number, 12);
    }
    // A unit mass at 3, squared, is one at 6; at 40, squared, it goes round to 80 - 64.
    for (const [at, to] of [
      [3, 6],
      [40, 16],
    ] as const) {
      const [a, b] = [new Float64Array(size), new Float64Array(size)];
      a[at] = 1;
      forward(a, b);
      for (let i = 0; i < size; i++) {
        const [zr, zi] = [a[i] as number, b[i] as number];
        a[i] = zr * zr - zi * zi;
        b[i] = 2 * zr * zi;
      }
      inverse(a, b);
      a.forEach((value, i) => expect(value).toBeCloseTo(i === to ? 1 : 0, 12));
    }
  });
});

describe("calibration", () => {
  test("[DP15] finds an independent calibration's noise, and never too little", () => {
    interface Row {
      q: number;
      T: number;
      target_epsilon: number;
      delta: number;
      sigma_pld: number;
    }
    const rows = vectors<Row>("calibrate_sigma");
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      const { q, T, target_epsilon, delta, sigma_pld } = row;
      const { noiseMultiplier, epsilon } = calibrateNoise({
        targetEpsilon: target_epsilon,
        delta,
        samplingRate: q,
        rounds: T,
      });
      expect(epsilon).toBeLessThanOrEqual(target_epsilon);
      expect(epsilonOfGroups(plan(q, noiseMultiplier, T), delta).epsilon).toBe(epsilon);
      expect(Math.abs(noiseMultiplier / sigma_pld - 1), JSON.stringify(row)).toBeLessThan(1e-3);
      // A hair less noise is too little.
      expect(
        epsilonOfGroups(plan(q, noiseMultiplier * (1 - 1e-4), T), delta).epsilon,
      ).toBeGreaterThan(target_epsilon);
    }
  });

  test("[DP15] works from very small budgets to very large ones", () => {
    for (const targetEpsilon of [1e-3, 0.05, 30, 500]) {
      const { epsilon, noiseMultiplier } = calibrateNoise({
        ...{ targetEpsilon, delta: 1e-5, samplingRate: 0.1, rounds: 10 },
      });
      expect(epsilon).toBeLessThanOrEqual(targetEpsilon);
      expect(epsilon).toBeGreaterThan(0.98 * targetEpsilon);
      expect(noiseMultiplier).toBeGreaterThan(0);
    }
  });

  test("[DP15] what cannot be calibrated is refused, all faults at once", () => {
    const target = { targetEpsilon: 1, delta: 1e-5, samplingRate: 0.1, rounds: 10 };
    for (const wrong of [
      { targetEpsilon: 0 },
      { targetEpsilon: Number.NaN },
      { samplingRate: 0 },
      { samplingRate: 1.5 },
      { rounds: 0.5 },
      { delta: 0 },
    ]) {
      expect(() => calibrateNoise({ ...target, ...wrong })).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
    }
  });
});
