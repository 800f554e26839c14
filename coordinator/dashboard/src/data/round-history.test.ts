import { effect } from "@preact/signals";
import fc from "fast-check";
import { expect, test } from "vitest";

import { committedOf, countsOf, historyOf, roundOf } from "./resources.fixture.ts";
import { createRoundHistory, MOST_ROUNDS } from "./round-history.ts";

test("[DB3] a round is a row of numbers, and NaN where it does not say", () => {
  const history = createRoundHistory();
  history.put(
    committedOf(3, {
      phases: [
        { phase: "selecting", startedAt: "2026-01-02T03:00:00.000Z", durationMs: 100 },
        { phase: "reporting", startedAt: "2026-01-02T03:00:00.100Z", durationMs: 400.5 },
      ],
      participants: countsOf({ selected: 5, reported: 4 }),
      evaluation: { source: "central", modelVersion: 3, numExamples: 1, loss: 0.5, accuracy: 0.9 },
      epsilon: 1.5,
    }),
  );
  history.put(committedOf(4, { phases: undefined, participants: undefined }));
  expect(history.row(3)).toMatchObject({
    phase: "committed",
    durationMs: 500.5,
    accuracy: 0.9,
    macroF1: NaN,
    epsilon: 1.5,
    selected: 5,
    reported: 4,
  });
  // Under privacy the whole round is all that is timed.
  expect(history.row(4)).toMatchObject({ durationMs: 30_000, selected: NaN, accuracy: NaN });
  expect(history.row(5)).toBeUndefined();
  expect(history.last("accuracy")).toEqual({ roundNumber: 3, value: 0.9 });
  expect(history.last("trainLoss")).toBeUndefined();
});

test("[DB3] rounds come in any order; a state that was overtaken changes nothing", () => {
  const history = createRoundHistory();
  let runs = 0;
  const stop = effect(() => {
    history.follow();
    runs += 1;
  });
  history.put(roundOf(7, { phase: "reporting" }));
  history.putAll([committedOf(5), committedOf(4), committedOf(6)]);
  expect([history.oldest, history.newest, history.missing(), runs]).toEqual([4, 7, 0, 3]);
  history.put(committedOf(7));
  expect(history.put(roundOf(7, { phase: "reporting" }))).toBe(false);
  expect(history.phaseOf(7)).toBe("committed");
  history.put(roundOf(9));
  expect([history.missing(), history.phaseOf(8)]).toEqual([1, undefined]);
  stop();
});

test("[DB3] columns of the API and single rounds make the same rows", () => {
  const [byRound, byColumn] = [createRoundHistory(), createRoundHistory()];
  const evaluation = { source: "central", modelVersion: 1, numExamples: 1, loss: 1 } as const;
  const rounds = [
    committedOf(1, { evaluation: { ...evaluation, accuracy: 0.25 }, phases: undefined }),
    committedOf(2, { phase: "abandoned", modelVersion: undefined, reason: "tooFewReports" }),
    committedOf(3, { phases: undefined }),
  ];
  byRound.putAll(rounds);
  byColumn.putColumns(historyOf(rounds));
  for (const n of [1, 2, 3]) {
    const { phase, reason, durationMs, accuracy, modelVersion } = byRound.row(n) ?? {};
    expect(byColumn.row(n)).toMatchObject({ phase, durationMs, accuracy, modelVersion });
    expect(byColumn.row(n)?.reason).toBe(reason);
  }
});

test("[DB3] the newest 10 000 are kept, in about a megabyte", () => {
  const history = createRoundHistory();
  for (let n = 1; n <= MOST_ROUNDS + 2500; n++) history.put(committedOf(n, { epsilon: n / 1000 }));
  expect([history.oldest, history.newest]).toEqual([2501, MOST_ROUNDS + 2500]);
  expect(history.row(2500)).toBeUndefined();
  expect(history.cell(2501, "epsilon")).toBe(2.501);
  expect(history.put(committedOf(2500))).toBe(false);
  expect(history.missing()).toBe(0);
  // A task that is another one by now.
  history.put(committedOf(10 ** 9));
  expect([history.oldest, history.missing()]).toEqual([10 ** 9 - MOST_ROUNDS + 1, MOST_ROUNDS - 1]);
});

test("[DB3] whatever comes, the columns hold what a plain map would", () => {
  const MOST = 100;
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 300 }), (numbers) => {
      const history = createRoundHistory(MOST);
      const known = new Map<number, number>();
      let newest = 0;
      numbers.forEach((n, i) => {
        history.put(committedOf(n, { trainLoss: i }));
        newest = Math.max(newest, n);
        if (n > newest - MOST) known.set(n, i);
        for (const old of known.keys()) if (old <= newest - MOST) known.delete(old);
      });
      for (let n = 1; n <= 400; n++) {
        expect(history.cell(n, "trainLoss")).toBe(known.get(n) ?? NaN);
      }
      expect(history.newest).toBe(newest);
    }),
  );
});
