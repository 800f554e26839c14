import { readFileSync } from "node:fs";

import type { RobustRule } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { openSimdKernel } from "./kernel/open-kernel.ts";
import type { RobustKernel, TileShape } from "./kernel/robust.ts";
import { columnsFor, createPlainKernel, MOST_ROWS } from "./kernel/robust.ts";
import { krumScores, krumSelection } from "./krum.ts";
import { robustMean } from "./robust-mean.ts";
import { rowsOf } from "./tiles.ts";

interface Case {
  readonly updates: readonly (readonly number[])[];
  readonly median: readonly number[];
  readonly trim: number;
  readonly trimmedMean: readonly number[];
  readonly byzantine: number;
  readonly select: number;
  readonly multiKrum: readonly number[];
  readonly krum: readonly number[];
  readonly geometricMedian: readonly number[] | null;
  readonly radius: number;
  readonly iterations: number;
  readonly centredClipping: readonly number[];
  readonly factor: number;
  readonly normBounding: readonly number[];
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../../../test/vectors/robust_rules.json", import.meta.url), "utf8"),
) as { cases: readonly Case[] };

function simd(shape: TileShape): RobustKernel {
  const kernel = openSimdKernel(shape);
  if (kernel === undefined) throw new Error("this engine has no SIMD");
  return kernel;
}

const KERNELS = [
  ["simd", simd],
  ["plain", createPlainKernel],
] as const;

const vectorsOf = (rows: readonly (readonly number[])[]) =>
  rows.map((row) => Float32Array.from(row));
const apply = (
  rule: RobustRule,
  rows: readonly (readonly number[])[],
  kernelFor: (shape: TileShape) => RobustKernel = simd,
) => [...robustMean(rule, rowsOf(vectorsOf(rows)), { kernelFor })];

/** Each number within a share of the largest. */
function expectNear(actual: readonly number[], expected: readonly number[], share: number) {
  expect(actual).toHaveLength(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  for (const [i, value] of actual.entries()) {
    expect(Math.abs(value - expected[i]!), `${i}: ${value} and ${expected[i]}`).toBeLessThanOrEqual(
      share * scale,
    );
  }
}

const RULES: readonly RobustRule[] = [
  { kind: "median" },
  { kind: "trimmedMean", trim: 2 },
  { kind: "krum", byzantine: 2, select: 1 },
  { kind: "krum", byzantine: 2, select: 5 },
  { kind: "geometricMedian", iterations: 8, smoothing: 1e-6 },
  { kind: "centredClipping", radius: 1, iterations: 5 },
  { kind: "normBounding", factor: 1 },
];
const named = RULES.map((rule) => [rule.kind, rule] as const);

/** Repeatable numbers in -1 to 1. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
function crowd(rows: number, parameters: number, seed = 1): number[][] {
  const next = numbers(seed);
  const centre = Array.from({ length: parameters }, next);
  return Array.from({ length: rows }, () => centre.map((value) => Math.fround(value + next() / 4)));
}
const distance = (a: readonly number[], b: readonly number[]) =>
  Math.hypot(...a.map((value, i) => value - b[i]!));

describe.each(KERNELS)("by the %s kernel", (_, kernelFor) => {
  test.each(cases.map((one, i) => [i, one] as const))(
    "[RA3] [RA4] [RA5] [RA6] every rule gives what numpy and scipy do, case %d",
    (_case, expected) => {
      const by = (rule: RobustRule) => apply(rule, expected.updates, kernelFor);
      expectNear(by({ kind: "median" }), expected.median, 1e-15);
      const { trim, byzantine, select, radius, iterations, factor } = expected;
      expectNear(by({ kind: "trimmedMean", trim }), expected.trimmedMean, 1e-14);
      expectNear(by({ kind: "krum", byzantine, select }), expected.multiKrum, 1e-14);
      expectNear(by({ kind: "krum", byzantine, select: 1 }), expected.krum, 1e-14);
      expectNear(
        by({ kind: "centredClipping", radius, iterations }),
        expected.centredClipping,
        1e-12,
      );
      expectNear(by({ kind: "normBounding", factor }), expected.normBounding, 1e-12);
      if (expected.geometricMedian === null) return;
      const rule = { kind: "geometricMedian", iterations: 100, smoothing: 1e-9 } as const;
      expectNear(by(rule), expected.geometricMedian, 1e-5);
    },
  );

  test.each(named)("[RA9] %s refuses what is not finite, wherever it is", (_kind, rule) => {
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      for (const [row, column] of [
        [0, 0],
        [3, 69],
        [10, 33],
      ] as const) {
        const rows = crowd(11, 70);
        rows[row]![column] = bad;
        expect(() => apply(rule, rows, kernelFor)).toThrow("NaN or infinite");
      }
    }
  });

  test.each(named)("[RA8] %s does not depend on who reports first", (_kind, rule) => {
    const rows = crowd(13, 50);
    const next = numbers(9);
    const before = apply(rule, rows, kernelFor);
    for (let i = 0; i < 5; i++) {
      const shuffled = rows
        .map((row) => [next(), row] as const)
        .sort(([a], [b]) => a - b)
        .map(([, row]) => row);
      expectNear(apply(rule, shuffled, kernelFor), before, 1e-14);
    }
  });

  test("[RA9] too few updates for the rule, and more than a kernel takes, are refused", () => {
    for (const rule of RULES) {
      expect(() => apply(rule, crowd(2, 4), kernelFor)).toThrow(/needs \d updates, got 2/);
    }
    expect(() => kernelFor({ rows: MOST_ROWS + 1, withPairs: false })).toThrow("1 to 4096");
  });
});

describe("SIMD and its plain twin", () => {
  test("[RA10] agree on every shape: a column, a block, a tile and its neighbours, few and many updates", () => {
    const most = columnsFor(9);
    for (const parameters of [1, 4, 31, 32, 33, 100, most - 1, most, most + 1, 2 * most + 5]) {
      const rows = crowd(9, parameters, parameters);
      for (const rule of RULES) {
        expectNear(apply(rule, rows), apply(rule, rows, createPlainKernel), 1e-13);
      }
    }
    for (const count of [3, 4, 5, 8, 64, 65, 130]) {
      const rows = crowd(count, 40, count);
      expect(apply({ kind: "median" }, rows)).toEqual(
        apply({ kind: "median" }, rows, createPlainKernel),
      );
      const rule = { kind: "krum", byzantine: 0, select: 1 } as const;
      expect(apply(rule, rows)).toEqual(apply(rule, rows, createPlainKernel));
    }
  });

  test("[RA10] distances of all pairs agree, however the rows are taken together", () => {
    for (let rows = 2; rows <= 13; rows++) {
      const both = [simd, createPlainKernel].map((kernelFor) => {
        const kernel = kernelFor({ rows, withPairs: true });
        for (const [i, values] of crowd(rows, kernel.columns, rows).entries()) {
          kernel.row(i).set(values);
        }
        kernel.pairs.fill(0);
        kernel.addPairs(kernel.columns);
        return [...kernel.pairs];
      });
      for (const [i, value] of both[0]!.entries()) {
        expect(Math.abs(value / both[1]![i]! - 1)).toBeLessThan(4e-6);
      }
    }
  });

  test("[RA10] without WebAssembly or its SIMD there is none, and the plain one computes", () => {
    expect(openSimdKernel({ rows: 3, withPairs: false }, {})).toBeUndefined();
    const refuses = { ...WebAssembly, validate: () => false };
    expect(openSimdKernel({ rows: 3, withPairs: false }, refuses)).toBeUndefined();
  });
});

describe("what the rules are", () => {
  const someRows = fc
    .tuple(fc.integer({ min: 3, max: 24 }), fc.integer({ min: 1, max: 40 }), fc.nat(1e6))
    .map(([rows, parameters, seed]) => crowd(rows, parameters, seed));

  test("[RA3] the trimmed mean is of each parameter the mean of what is left between, as written out", () => {
    fc.assert(
      fc.property(someRows, fc.nat(11), (rows, wish) => {
        const trim = Math.min(wish, Math.floor((rows.length - 1) / 2));
        const naive = rows[0]!.map((_, column) => {
          const sorted = rows.map((row) => row[column]!).sort((a, b) => a - b);
          const left = sorted.slice(trim, rows.length - trim);
          return left.reduce((sum, value) => sum + value, 0) / left.length;
        });
        if (trim > 0) expectNear(apply({ kind: "trimmedMean", trim }, rows), naive, 1e-14);
      }),
    );
  });

  test("[RA4] Krum's scores are sums over the n - f - 2 nearest, and the least are chosen", () => {
    fc.assert(
      fc.property(someRows, fc.nat(10), (rows, wish) => {
        const n = rows.length;
        const byzantine = Math.min(wish, Math.floor((n - 3) / 2));
        const pairs = Float64Array.from(
          rows.flatMap((a, i) => rows.slice(0, i).map((b) => distance(a, b) ** 2)),
        );
        const scores = rows.map((a, i) =>
          rows
            .filter((_b, j) => j !== i)
            .map((b) => distance(a, b) ** 2)
            .sort((x, y) => x - y)
            .slice(0, n - byzantine - 2)
            .reduce((sum, value) => sum + value, 0),
        );
        expectNear([...krumScores(pairs, n, byzantine)], scores, 1e-12);
        const select = Math.max(1, n - byzantine - 2);
        const chosen = krumSelection(pairs, n, { byzantine, select });
        const worst = Math.max(...chosen.map((i) => scores[i]!));
        const rest = scores.filter((_score, i) => !chosen.includes(i));
        expect(rest.every((score) => score >= worst * (1 - 1e-12))).toBe(true);
      }),
    );
  });

  test("[RA4] where no distance is finite nothing is chosen", () => {
    const far = [3e38, -3e38, 2e38, -2e38, 1e38].map((value) => [value, -value]);
    expect(() => apply({ kind: "krum", byzantine: 1, select: 1 }, far)).toThrow("finite distance");
  });

  test("[RA5] the geometric median has no nearby point with a smaller sum of distances", () => {
    const rows = crowd(15, 6);
    const best = apply({ kind: "geometricMedian", iterations: 60, smoothing: 1e-9 }, rows);
    const sum = (z: readonly number[]) => rows.reduce((total, row) => total + distance(row, z), 0);
    for (let i = 0; i < best.length; i++) {
      for (const step of [-1e-3, 1e-3]) {
        expect(sum(best.with(i, best[i]! + step))).toBeGreaterThan(sum(best));
      }
    }
  });

  test.each([Number.MIN_VALUE, 1e-310, 1e308, Number.MAX_VALUE])(
    "[RA5] a smoothing of %d leaves numbers, also of updates that are equal",
    (smoothing) => {
      const rule = { kind: "geometricMedian", iterations: 20, smoothing } as const;
      const equal = Array.from({ length: 4 }, () => [2, -1]);
      expect(apply(rule, equal)).toEqual([2, -1]);
      const nothing = Array.from({ length: 5 }, () => [0, 0]);
      expect(apply(rule, nothing)).toEqual([0, 0]);
      const [first, second] = apply(rule, [...equal, [9, 9]]) as [number, number];
      expect(first).toBeGreaterThanOrEqual(2);
      expect(first).toBeLessThan(4);
      expect(second).toBeLessThanOrEqual(1);
    },
  );

  test("[RA6] clippingNorm brings every update into its ball before the rule sees it", () => {
    const rows = crowd(9, 20);
    const norm = 0.5;
    const clipped = rows.map((row) => {
      const length = Math.hypot(...row);
      return row.map((value) => Math.fround(value * Math.min(1, norm / length)));
    });
    for (const rule of RULES) {
      const actual = robustMean(rule, rowsOf(vectorsOf(rows)), { clippingNorm: norm });
      expectNear([...actual], apply(rule, clipped), 1e-6);
    }
  });
});

describe("what liars can do", () => {
  /** Lies of every kind: far away, in one place, in many, and just beyond the honest ones. */
  const lies = fc.tuple(
    fc.constantFrom(1e38, 1e20, 1e6, 50, 2, 0),
    fc.constantFrom("same", "opposite", "scattered"),
    fc.nat(1e6),
  );
  const lyingRows = (count: number, parameters: number, lie: [number, string, number]) => {
    const [scale, how, seed] = lie;
    const next = numbers(seed);
    return Array.from({ length: count }, (_, i) =>
      Array.from({ length: parameters }, () =>
        Math.fround(
          how === "same" ? scale : how === "opposite" ? scale * (-1) ** i : scale * next(),
        ),
      ),
    );
  };
  const HONEST = 9;
  const attacked = fc
    .tuple(fc.nat(1e6), fc.integer({ min: 1, max: 20 }), lies, fc.integer({ min: 1, max: 8 }))
    .map(([seed, parameters, lie, liars]) => ({
      honest: crowd(HONEST, parameters, seed),
      liars: lyingRows(liars, parameters, lie),
    }));

  test("[RA7] fewer than half of the clients cannot take a median out of the honest values", () => {
    fc.assert(
      fc.property(attacked, ({ honest, liars }) => {
        const result = apply({ kind: "median" }, [...liars, ...honest]);
        for (const [i, value] of result.entries()) {
          const column = honest.map((row) => row[i]!);
          expect(value).toBeGreaterThanOrEqual(Math.min(...column));
          expect(value).toBeLessThanOrEqual(Math.max(...column));
        }
      }),
    );
  });

  test("[RA7] nor can as many as are trimmed take a trimmed mean out of them", () => {
    fc.assert(
      fc.property(attacked, ({ honest, liars }) => {
        const trim = liars.length;
        const result = apply({ kind: "trimmedMean", trim }, [...honest, ...liars]);
        for (const [i, value] of result.entries()) {
          const column = honest.map((row) => row[i]!);
          expect(value).toBeGreaterThanOrEqual(Math.min(...column) - 1e-12);
          expect(value).toBeLessThanOrEqual(Math.max(...column) + 1e-12);
        }
      }),
    );
  });

  test("[RA7] what Krum chooses is as near to honest updates as honest ones are to each other", () => {
    fc.assert(
      fc.property(attacked, ({ honest, liars }) => {
        const byzantine = Math.min(liars.length, Math.floor((HONEST - 3) / 1));
        const some = liars.slice(0, byzantine);
        const n = HONEST + byzantine;
        if (n < 2 * byzantine + 3) return;
        const result = apply({ kind: "krum", byzantine, select: 1 }, [...some, ...honest]);
        // The chosen score is at most an honest one's: its n - f - 2 nearest, all within the honest diameter.
        const diameter = Math.max(...honest.flatMap((a) => honest.map((b) => distance(a, b))));
        const nearest = Math.min(...honest.map((row) => distance(row, result)));
        expect(nearest).toBeLessThanOrEqual(Math.sqrt(n - byzantine - 2) * diameter * 1.000_01);
      }),
    );
  });

  test("[RA7] a geometric median stays within the bound of its breakdown point", () => {
    fc.assert(
      fc.property(attacked, ({ honest, liars }) => {
        const rule = { kind: "geometricMedian", iterations: 100, smoothing: 1e-6 } as const;
        const some = liars.slice(0, 3);
        const result = apply(rule, [...some, ...honest]);
        // Lopuhaa and Rousseeuw 1991: from the centre c of the honest ones at most 2 (1 - a) / (1 - 2 a) of their radius.
        const centre = honest[0]!.map(
          (_, i) => honest.reduce((sum, row) => sum + row[i]!, 0) / HONEST,
        );
        const radius = Math.max(...honest.map((row) => distance(row, centre)));
        const share = some.length / (HONEST + some.length);
        const most = ((2 * (1 - share)) / (1 - 2 * share)) * radius;
        expect(distance(result, centre)).toBeLessThanOrEqual(most * 1.001 + 1e-6);
      }),
    );
  });

  test("[RA7] liars move centred clipping by 2 f radius / n for each step, and no further", () => {
    fc.assert(
      fc.property(attacked, fc.nat(1e6), ({ honest, liars }, seed) => {
        const rule = { kind: "centredClipping", radius: 0.5, iterations: 4 } as const;
        const replaced = crowd(liars.length, honest[0]!.length, seed);
        const n = HONEST + liars.length;
        const moved = distance(
          apply(rule, [...honest, ...liars]),
          apply(rule, [...honest, ...replaced]),
        );
        expect(moved).toBeLessThanOrEqual((4 * 2 * liars.length * 0.5) / n + 1e-9);
      }),
    );
  });

  test("[RA7] and a mean of bounded norms by f / n of the longest honest one, each way", () => {
    fc.assert(
      fc.property(attacked, ({ honest, liars }) => {
        const longest = Math.max(...honest.map((row) => Math.hypot(...row)));
        const result = apply({ kind: "normBounding", factor: 1 }, [...honest, ...liars]);
        expect(Math.hypot(...result)).toBeLessThanOrEqual(longest * 1.000_001);
      }),
    );
  });

  test("[RA7] of the mean one liar makes what it wants: the tests above can fail", () => {
    const rows = [...crowd(HONEST, 3), [1e30, 0, 0]];
    const mean = rows.reduce((sum, row) => sum + row[0]!, 0) / rows.length;
    expect(mean).toBeGreaterThan(1e28);
    for (const rule of RULES) expect(Math.hypot(...apply(rule, rows))).toBeLessThan(10);
  });
});
