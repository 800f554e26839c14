import type { ClientId } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { createSecureRandom, uniformFrom } from "../privacy/random.ts";
import { createSeededUniform, expectedReports, selectCohort } from "./sampler.ts";

const clients = (count: number) =>
  Array.from({ length: count }, (_, i) => `c${String(i).padStart(4, "0")}` as ClientId);
const uniform = uniformFrom(createSecureRandom());

describe("cohorts", () => {
  test("[SM1] `all` takes everybody and claims nothing", () => {
    const { cohort, claim } = selectCohort({ kind: "all" }, clients(7), uniform);
    expect(cohort).toHaveLength(7);
    expect(claim).toEqual({ kind: "none" });
  });

  test("[SM2] `uniform` takes ceil(cohortSize (1 + overSelection)) distinct clients, or all there are", () => {
    const spec = { kind: "uniform", cohortSize: 10, overSelection: 0.25 } as const;
    const { cohort, claim } = selectCohort(spec, clients(100), uniform);
    expect(new Set(cohort).size).toBe(13);
    expect(claim).toEqual({ kind: "fixedSize", cohortSize: 13 });
    expect(selectCohort(spec, clients(4), uniform).cohort).toHaveLength(4);
  });

  test("[SM2] every subset is equally likely", () => {
    const counts = new Map<string, number>();
    const draws = 30_000;
    for (let i = 0; i < draws; i++) {
      const { cohort } = selectCohort(
        { kind: "uniform", cohortSize: 2, overSelection: 0 },
        clients(5),
        uniform,
      );
      const key = cohort.sort().join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    const chiSquare = [...counts.values()].reduce(
      (sum, count) => sum + (count - draws / 10) ** 2 / (draws / 10),
      0,
    );
    // 9 degrees of freedom, 99.9999 %
    expect(chiSquare).toBeLessThan(45);
  });

  test("[SM3] `poisson` throws an independent coin for each client: counts and pairs are binomial", () => {
    const draws = 20_000;
    const rate = 0.3;
    let both = 0;
    let first = 0;
    let total = 0;
    for (let i = 0; i < draws; i++) {
      const { cohort, claim } = selectCohort(
        { kind: "poisson", samplingRate: rate, population: 4 },
        clients(4),
        uniform,
      );
      expect(claim).toEqual({ kind: "poisson", samplingRate: rate });
      total += cohort.length;
      if (cohort.includes("c0000" as ClientId)) first += 1;
      if (cohort.includes("c0000" as ClientId) && cohort.includes("c0001" as ClientId)) both += 1;
    }
    const near = (count: number, trials: number, p: number) =>
      expect(Math.abs(count - trials * p)).toBeLessThan(5 * Math.sqrt(trials * p * (1 - p)));
    near(total, 4 * draws, rate);
    near(first, draws, rate);
    near(both, draws, rate * rate);
  });

  test("[SM4] a seeded draw does not depend on who checked in first, and differs between seeds", () => {
    const spec = { kind: "uniform", cohortSize: 5, overSelection: 0 } as const;
    const draw = (seed: number, waiting: ClientId[]) =>
      selectCohort(spec, waiting, createSeededUniform(seed)).cohort;
    expect(draw(1, clients(50))).toEqual(draw(1, clients(50).reverse()));
    expect(draw(1, clients(50))).not.toEqual(draw(2, clients(50)));
  });

  test("[SM5] the denominator of a private mean is public and fixed", () => {
    expect(expectedReports({ kind: "poisson", samplingRate: 0.1, population: 600 }, 1)).toBe(60);
    expect(expectedReports({ kind: "uniform", cohortSize: 8, overSelection: 1 }, 1)).toBe(8);
    expect(expectedReports({ kind: "all" }, 12)).toBe(12);
  });
});
