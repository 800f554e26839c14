import { expect, test } from "vitest";

import type { HistoryTable } from "../data/long-history.ts";
import { HISTORY_COLUMNS } from "../data/long-history.ts";
import { phaseTimes } from "./phase-times.ts";

function table(length: number, of: (name: string, i: number) => number | null): HistoryTable {
  const columns = HISTORY_COLUMNS.map((name) => [
    name,
    Array.from({ length }, (_, i) => of(name, i)),
  ]);
  return {
    length,
    columns: Object.fromEntries(columns) as HistoryTable["columns"],
    reasons: Array.from({ length }, () => null),
  };
}

const cells: Readonly<Record<string, (i: number) => number | null>> = {
  roundNumber: (i) => i + 1,
  modelVersion: (i) => (i % 3 === 2 ? null : i),
  openedAtMs: (i) => 1000 * i,
  endedAtMs: (i) => 1000 * i + 100 + i,
};
const timed: typeof cells = {
  ...cells,
  selectingMs: () => 10,
  reportingMs: (i) => 20 + i,
  aggregatingMs: (i) => (i % 3 === 2 ? null : 5),
};
const from = (given: typeof cells) => (name: string, i: number) => given[name]?.(i) ?? null;

test("[DB34] a round's time is that of its phases, and abandoned rounds are marked", () => {
  const times = phaseTimes(table(6, from(timed)), undefined);
  expect(times.hasPhases).toBe(true);
  expect(times.rounds).toEqual([1, 2, 3, 4, 5, 6]);
  expect(times.phases.aggregatingMs).toEqual([5, 5, 0, 5, 5, 0]);
  expect(times.total.ys).toEqual([35, 36, 32, 38, 39, 35]);
  expect(times.abandoned).toEqual([3, 6]);
});

test("[DB34] where phases are withheld a round's time is from its beginning to its end", () => {
  const times = phaseTimes(table(3, from(cells)), undefined);
  expect(times.hasPhases).toBe(false);
  expect(times.total.ys).toEqual([100, 101, 102]);
});

test("[DB32] of thousands of rounds means are drawn, and the longest at its own place", () => {
  const slow = { ...timed, reportingMs: (i: number) => (i === 4567 ? 90_000 : 50) };
  const times = phaseTimes(table(10_000, from(slow)), undefined, 200);
  expect(times.perPlace).toBe(50);
  expect(times.rounds).toHaveLength(200);
  expect(times.longest.xs).toContain(4568);
  expect(Math.max(...(times.longest.ys as number[]))).toBe(90_015);
  // 49 rounds of 50 ms and one of 90 s.
  const at = times.rounds.findIndex((round) => round >= 4568);
  expect(times.phases.reportingMs[at]).toBe((49 * 50 + 90_000) / 50);
  // None of the abandoned is left out.
  expect(times.abandoned).toHaveLength(3333);
});

test("[DB32] of a stretch that is looked at more closely each round is drawn", () => {
  const times = phaseTimes(table(10_000, from(timed)), { min: 500.5, max: 560 }, 200);
  expect(times.perPlace).toBe(1);
  expect(times.rounds).toEqual(Array.from({ length: 60 }, (_, i) => 501 + i));
  expect(times.total.ys[0]).toBe(times.longest.ys[0]);
});
