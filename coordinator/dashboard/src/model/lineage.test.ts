import { expect, test } from "vitest";

import type { HistoryTable } from "../data/long-history.ts";
import { lineageOf } from "./lineage.ts";

/** [round, base, made] of each. */
function table(...rounds: readonly (readonly [number, number, number | null])[]): HistoryTable {
  const columns = {
    roundNumber: rounds.map(([round]) => round),
    baseModelVersion: rounds.map(([, base]) => base),
    modelVersion: rounds.map(([, , made]) => made),
  };
  return { length: rounds.length, columns, reasons: [] } as unknown as HistoryTable;
}

const rounds = table([1, 0, 1], [2, 1, null], [3, 1, null], [4, 1, 2], [5, 2, 3], [6, 3, null]);

test("[DB50] a version goes back over the rounds that made it and those that came to nothing", () => {
  expect(lineageOf(rounds, 3)).toEqual([
    { version: 3, roundNumber: 5, baseVersion: 2, abandoned: [] },
    { version: 2, roundNumber: 4, baseVersion: 1, abandoned: [2, 3] },
    { version: 1, roundNumber: 1, baseVersion: 0, abandoned: [] },
  ]);
  expect(lineageOf(rounds, 2, 1)).toEqual([
    { version: 2, roundNumber: 4, baseVersion: 1, abandoned: [2, 3] },
  ]);
});

test("[DB50] it ends where rounds are not known, and of the first version there is none", () => {
  expect(lineageOf(rounds, 0)).toEqual([]);
  expect(lineageOf(rounds, 9)).toEqual([]);
  expect(lineageOf(table([5, 2, 3], [6, 3, 4]), 4)).toEqual([
    { version: 4, roundNumber: 6, baseVersion: 3, abandoned: [] },
    { version: 3, roundNumber: 5, baseVersion: 2, abandoned: [] },
  ]);
});
