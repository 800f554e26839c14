import { expect, test } from "vitest";

import type { HistoryTable } from "../data/long-history.ts";
import { HISTORY_COLUMNS } from "../data/long-history.ts";
import { aligned, curveOf, smoothed, summaryOf, withExtremes } from "./curve.ts";

function tableOf(
  length: number,
  columns: Partial<Record<(typeof HISTORY_COLUMNS)[number], (number | null)[]>>,
): HistoryTable {
  const all = HISTORY_COLUMNS.map((name) => [
    name,
    columns[name] ?? Array.from({ length }, () => null),
  ]);
  return {
    length,
    columns: Object.fromEntries(all) as HistoryTable["columns"],
    reasons: Array.from({ length }, () => null),
  };
}

test("[DB30] a figure of an evaluation stands at the version that was judged, one of a round at what it made", () => {
  // Federated: each round judges the version that it started from.
  const table = tableOf(3, {
    roundNumber: [4, 5, 6],
    modelVersion: [3, null, 4],
    evaluatedVersion: [2, null, 3],
    accuracy: [0.5, null, 0.7],
    trainLoss: [2, null, 1],
    openedAtMs: [10_000, 20_000, 30_000],
    endedAtMs: [12_000, 21_500, 33_000],
  });
  expect(curveOf(table, "accuracy", "version")).toEqual({ xs: [2, 3], ys: [0.5, 0.7] });
  expect(curveOf(table, "trainLoss", "version")).toEqual({ xs: [3, 4], ys: [2, 1] });
  expect(curveOf(table, "accuracy", "round")).toEqual({ xs: [4, 6], ys: [0.5, 0.7] });
  expect(curveOf(table, "accuracy", "time")).toEqual({ xs: [2, 23], ys: [0.5, 0.7] });
  expect(curveOf(table, "macroF1", "round")).toEqual({ xs: [], ys: [] });
});

test("[DB30] places of a curve only grow: of two values at one place the later one counts", () => {
  const table = tableOf(4, {
    evaluatedVersion: [1, 2, 2, 3],
    accuracy: [0.1, 0.2, 0.3, 0.4],
  });
  expect(curveOf(table, "accuracy", "version")).toEqual({ xs: [1, 2, 3], ys: [0.1, 0.3, 0.4] });
});

test("[DB31] smoothing keeps a constant, halves what it should, and leaves gaps alone", () => {
  expect(smoothed([3, 3, null, 3], 0.9)).toEqual([
    3,
    3,
    null,
    expect.closeTo(3, 12) as unknown as number,
  ]);
  expect(smoothed([1, 5, 2], 0)).toEqual([1, 5, 2]);
  // By hand: s = 0.5, 0.25 + 2 = 2.25, then 2.25 / (1 - 0.25).
  expect(smoothed([1, null, 4], 0.5)).toEqual([1, null, 3]);
});

test("[DB31] a smoothed curve stays within what it smooths", () => {
  const ys = Array.from({ length: 500 }, (_, i) => Math.sin(i) * (i % 7));
  const low = Math.min(...ys);
  const high = Math.max(...ys);
  for (const value of smoothed(ys, 0.97)) {
    expect(value).toBeGreaterThanOrEqual(low - 1e-9);
    expect(value).toBeLessThanOrEqual(high + 1e-9);
  }
});

test("[DB30] curves over other places share one axis, and are drawn through where they have none", () => {
  const a = { xs: [1, 2, 4], ys: [10, null, 40] };
  const b = { xs: [2, 3, 4], ys: [2, 3, 4] };
  expect(aligned([a, b])).toEqual({
    xs: [1, 2, 3, 4],
    rows: [
      [10, null, undefined, 40],
      [undefined, 2, 3, 4],
    ],
  });
  expect(aligned([a, { xs: [1, 2, 4], ys: [1, 1, 1] }]).xs).toBe(a.xs);
  expect(aligned([])).toEqual({ xs: [], rows: [] });
});

test("[DB32] many become few without losing a peak, a valley or an end", () => {
  const length = 10_000;
  const row = Array.from({ length }, (_, i) => Math.sin(i / 300));
  row[7_321] = 50;
  row[7_322] = -50;
  const other = Array.from({ length }, (_, i) => (i === 44 ? 9 : null));
  const kept = withExtremes([row, other], length, 200);
  expect(kept.length).toBeLessThanOrEqual(2 + 4 * 200);
  expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
  for (const index of [0, 44, 7_321, 7_322, length - 1]) expect(kept).toContain(index);
  expect(withExtremes([row], 150, 200)).toHaveLength(150);
});

test("[DB36] a curve is summed up for who cannot see it", () => {
  expect(summaryOf({ xs: [1, 2, 5, 9], ys: [3, null, 8, 4] })).toEqual({
    ...{ first: 3, last: 4, lastX: 9, count: 3 },
    ...{ low: 3, lowX: 1, high: 8, highX: 5 },
  });
  expect(summaryOf({ xs: [1], ys: [null] })).toBeUndefined();
});
