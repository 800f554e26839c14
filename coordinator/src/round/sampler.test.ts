import type { ClientId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createSecureRandom, uniformFrom } from "../privacy/random.ts";
import { amplificationOf } from "../privacy/charge.ts";
import { createSeededUniform, expectedReports, plannedClaim, selectCohort } from "./sampler.ts";

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

  test("[SM3] whom the coin leaves out is not replaced: cohorts vary in size, down to nobody", () => {
    const sizes = new Set<number>();
    for (let i = 0; i < 2_000; i++) {
      const spec = { kind: "poisson", samplingRate: 0.5, population: 3 } as const;
      sizes.add(selectCohort(spec, clients(3), uniform).cohort.length);
    }
    expect([...sizes].sort()).toEqual([0, 1, 2, 3]);
  });

  test("[SM3] with the same coin for each client, one that is missing changes the place of no other", () => {
    const all = clients(40);
    const coins = new Map(all.map((client) => [client, uniform.next()]));
    const draw = (waiting: ClientId[]) => {
      const inOrder = [...waiting].sort();
      const thrown = { next: () => coins.get(inOrder.shift()!)! };
      const spec = { kind: "poisson", samplingRate: 0.5, population: 40 } as const;
      const { cohort } = selectCohort(spec, waiting, thrown);
      expect(inOrder).toEqual([]);
      return cohort;
    };
    const everybody = draw(all);
    for (const missing of all) {
      const rest = draw(all.filter((client) => client !== missing).reverse());
      expect(rest).toEqual(everybody.filter((client) => client !== missing));
    }
  });

  test("[SM3] a rate of 1 takes everybody, also the highest coin; a rate is never exceeded by its coin", () => {
    const spec = { kind: "poisson", samplingRate: 1, population: 4 } as const;
    expect(selectCohort(spec, clients(4), { next: () => 1 - 2 ** -53 }).cohort).toHaveLength(4);
    const half = { ...spec, samplingRate: 0.5 };
    expect(selectCohort(half, clients(4), { next: () => 0.5 }).cohort).toEqual([]);
  });

  test("[SM6] only independent coins amplify privacy, whatever else was done is accounted in full", () => {
    const poisson = { kind: "poisson", samplingRate: 0.2, population: 9 } as const;
    const fixed = { kind: "uniform", cohortSize: 2, overSelection: 0 } as const;
    const rateOf = (spec: Parameters<typeof selectCohort>[0]) =>
      amplificationOf(selectCohort(spec, clients(9), uniform).claim);
    expect(rateOf(poisson)).toBe(0.2);
    expect(rateOf(fixed)).toBe(1);
    expect(rateOf({ kind: "all" })).toBe(1);
  });

  test("[SM6] a draw that somebody can repeat claims nothing, whatever its coins", () => {
    for (const spec of [
      { kind: "poisson", samplingRate: 0.2, population: 9, seed: 1 },
      { kind: "uniform", cohortSize: 2, overSelection: 0, seed: 1 },
    ] as const) {
      expect(selectCohort(spec, clients(9), createSeededUniform(1)).claim).toEqual({
        kind: "none",
      });
      expect(plannedClaim(spec)).toEqual({ kind: "none" });
    }
  });

  test("[DP20] a million coins: counts are binomial, users and rounds independent of each other", () => {
    const rate = 0.3;
    const [users, rounds] = [100, 10_000];
    const spec = { kind: "poisson", samplingRate: rate, population: users } as const;
    const all = clients(users);
    const perUser = new Map(all.map((client) => [client, 0]));
    let [total, sizeSquares, neighbours, again] = [0, 0, 0, 0];
    let before = new Set<ClientId>();
    for (let round = 0; round < rounds; round++) {
      const drawn = new Set(selectCohort(spec, all, uniform).cohort);
      total += drawn.size;
      sizeSquares += (drawn.size - rate * users) ** 2;
      for (const [i, client] of all.entries()) {
        if (!drawn.has(client)) continue;
        perUser.set(client, perUser.get(client)! + 1);
        if (i > 0 && drawn.has(all[i - 1]!)) neighbours += 1;
        if (before.has(client)) again += 1;
      }
      before = drawn;
    }
    // Five standard deviations: once in two million.
    const near = (count: number, trials: number, p: number) =>
      expect(Math.abs(count - trials * p)).toBeLessThan(5.5 * Math.sqrt(trials * p * (1 - p)));
    near(total, users * rounds, rate);
    for (const count of perUser.values()) near(count, rounds, rate);
    // Pairs overlap, so their variance is larger than a binomial's by a factor below 1 + 2 p.
    const nearPairs = (count: number, trials: number) =>
      expect(Math.abs(count - trials * rate ** 2)).toBeLessThan(
        5.5 * Math.sqrt(trials * rate ** 2 * (1 - rate ** 2) * (1 + 2 * rate)),
      );
    nearPairs(neighbours, (users - 1) * rounds);
    nearPairs(again, users * (rounds - 1));
    // The size of a round varies as a binomial does: nobody's coin looks at another's.
    const variance = sizeSquares / rounds / (users * rate * (1 - rate));
    expect(Math.abs(variance - 1)).toBeLessThan(5.5 * Math.sqrt(2 / rounds));
  }, 60_000);

  test("[DP20] whoever is missing changes nobody else's place, with or without a cap", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat({ max: 29 }), { maxLength: 30 }),
        fc.boolean(),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        (missing, capped, samplingRate) => {
          const all = clients(30);
          const spec = {
            ...({ kind: "poisson", samplingRate, population: 30 } as const),
            ...(capped ? { maxCohort: 30 } : {}),
          };
          const coins = new Map(all.map((client) => [client, uniform.next()]));
          const draw = (waiting: ClientId[]) => {
            const inOrder = [...waiting].sort();
            const coin = () => {
              const client = inOrder.shift();
              return client === undefined ? 0.999 : coins.get(client)!;
            };
            return selectCohort(spec, waiting, { next: coin }).cohort.sort();
          };
          const gone = new Set(missing.map((i) => all[i]));
          const everybody = draw(all);
          const rest = draw(all.filter((client) => !gone.has(client)));
          expect(rest).toEqual(everybody.filter((client) => !gone.has(client)));
        },
      ),
    );
  });

  const capped = { kind: "poisson", samplingRate: 0.5, population: 40, maxCohort: 5 } as const;

  test("[DP20] a cap chooses among the heads, every one equally likely, and says so", () => {
    const counts = new Map(clients(40).map((client) => [client, 0]));
    const rounds = 20_000;
    for (let i = 0; i < rounds; i++) {
      const { cohort, claim } = selectCohort(capped, clients(40), uniform);
      expect(new Set(cohort).size).toBe(cohort.length);
      expect(cohort.length).toBeLessThanOrEqual(5);
      expect(claim).toEqual({
        ...{ kind: "truncatedPoisson", samplingRate: 0.5 },
        ...{ population: 40, cap: 5 },
      });
      for (const client of cohort) counts.set(client, counts.get(client)! + 1);
    }
    for (const count of counts.values()) {
      expect(Math.abs(count - rounds / 8)).toBeLessThan(5.5 * Math.sqrt((rounds * 7) / 64));
    }
  });

  test("[DP20] a place whose client does not wait throws its coin: nobody's chance grows by it", () => {
    let total = 0;
    const rounds = 20_000;
    for (let i = 0; i < rounds; i++) {
      total += selectCohort(capped, clients(10), uniform).cohort.length;
    }
    // 40 places share 5: ten clients have an eighth each.
    expect(Math.abs(total - (rounds * 10) / 8)).toBeLessThan(5.5 * Math.sqrt(rounds * 1.1));
  });

  test("[DP20] where more wait than the population that is accounted, nobody is drawn", () => {
    expect(selectCohort(capped, clients(40), uniform).cohort.length).toBeGreaterThan(0);
    expect(selectCohort(capped, clients(41), uniform)).toEqual({
      cohort: [],
      claim: { kind: "none" },
    });
    expect(plannedClaim(capped)).toEqual(selectCohort(capped, clients(7), uniform).claim);
    expect(expectedReports(capped, 1)).toBe(5);
    expect(selectCohort({ ...capped, seed: 1 }, clients(7), uniform).claim).toEqual({
      kind: "none",
    });
  });

  test("[DP17] what is planned with is what selection claims, where enough clients wait", () => {
    const seed = fc.option(fc.nat(), { nil: undefined });
    const seeded = <T extends object>(spec: T, given: number | undefined) =>
      given === undefined ? spec : { ...spec, seed: given };
    const samplers = fc.oneof(
      fc.constant({ kind: "all" } as const),
      fc
        .tuple(fc.integer({ min: 1, max: 10 }), fc.double({ min: 0, max: 1, noNaN: true }), seed)
        .map(([cohortSize, overSelection, given]) =>
          seeded({ kind: "uniform", cohortSize, overSelection } as const, given),
        ),
      fc
        .tuple(fc.double({ min: 1e-9, max: 1, noNaN: true }), seed)
        .map(([samplingRate, given]) =>
          seeded({ kind: "poisson", samplingRate, population: 20 } as const, given),
        ),
    );
    fc.assert(
      fc.property(samplers, (spec) => {
        expect(selectCohort(spec, clients(20), uniform).claim).toEqual(plannedClaim(spec));
      }),
    );
  });

  test("[SM4] a seeded stream is uniform, and the waiting list given in is left as it was", () => {
    const stream = createSeededUniform(7);
    const bins = new Array<number>(100).fill(0);
    for (let i = 0; i < 100_000; i++) bins[Math.floor(stream.next() * 100)]! += 1;
    const chiSquare = bins.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0);
    // 99 degrees of freedom; the seed is fixed, so this never fails by chance.
    expect(chiSquare).toBeGreaterThan(55);
    expect(chiSquare).toBeLessThan(160);
    const waiting = clients(9).reverse();
    selectCohort({ kind: "uniform", cohortSize: 4, overSelection: 0 }, waiting, stream);
    expect(waiting).toEqual(clients(9).reverse());
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
