import type { TaskId } from "@tributary/protocol";
import { epsilonOfGaussian } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { Draw, TaskAccount } from "./account.ts";
import { draw, isRefused } from "./account.ts";

const key = (taskId = "t", origin = "http://c") => ({ origin, taskId: taskId as TaskId });
const noise = (noiseMultiplier: number, maxEpsilon = 8, delta = 1e-5): Draw => ({
  localNoise: { noiseMultiplier, delta, maxEpsilon },
});

/** Draws until one is refused. */
function drawAll(draws: readonly Draw[], own?: { maxEpsilon: number; delta: number }) {
  let accounts: readonly TaskAccount[] = [];
  for (const [made, wanted] of draws.entries()) {
    const outcome = draw(accounts, key(), wanted, own);
    if (isRefused(outcome)) return { accounts, made, refused: outcome };
    accounts = outcome;
  }
  return { accounts, made: draws.length, refused: undefined };
}

test("[LD6] k updates of noise z cost the exact Gaussian at z / sqrt(k), and the one too many is not made", () => {
  const { made, refused } = drawAll(Array<Draw>(1_000).fill(noise(5, 4)));
  expect(epsilonOfGaussian(Math.sqrt(made) / 5, 1e-5)).toBeLessThanOrEqual(4);
  expect(epsilonOfGaussian(Math.sqrt(made + 1) / 5, 1e-5)).toBeGreaterThan(4);
  expect(refused).toMatchObject({ refused: "taskBudget" });
});

test("[LD6] whatever noise, delta and budget a task asks for from round to round, no limit is ever passed", () => {
  const draws = fc.array(
    fc.record({
      task: fc.constantFrom("a", "b"),
      origin: fc.constantFrom("http://c", "http://d"),
      noiseMultiplier: fc.double({ min: 0.05, max: 50, noNaN: true }),
      delta: fc.constantFrom(1e-3, 1e-6, 1e-9),
      maxEpsilon: fc.constantFrom(0.5, 3, 1_000),
    }),
    { maxLength: 25 },
  );
  fc.assert(
    fc.property(draws, fc.constantFrom(undefined, 2, 10), (wanted, maxEpsilon) => {
      const own = maxEpsilon === undefined ? undefined : { maxEpsilon, delta: 1e-6 };
      let accounts: readonly TaskAccount[] = [];
      const made: typeof wanted = [];
      for (const { task, origin, ...localNoise } of wanted) {
        const outcome = draw(accounts, key(task, origin), { localNoise }, own);
        if (isRefused(outcome)) continue;
        accounts = outcome;
        made.push({ task, origin, ...localNoise });
      }
      const muOf = (draws: typeof made) =>
        Math.sqrt(draws.reduce((sum, { noiseMultiplier }) => sum + noiseMultiplier ** -2, 0));
      for (const { task, origin, delta, maxEpsilon } of made) {
        const mine = made.filter((other) => other.task === task && other.origin === origin);
        // Also the limits of long ago, by all that came later.
        expect(epsilonOfGaussian(muOf(mine), delta)).toBeLessThanOrEqual(maxEpsilon * (1 + 1e-12));
      }
      if (own !== undefined) {
        expect(epsilonOfGaussian(muOf(made), own.delta)).toBeLessThanOrEqual(
          own.maxEpsilon * (1 + 1e-12),
        );
      }
    }),
  );
});

test("[LD6] a coordinator that asks for less noise, or states a larger budget later, gains nothing by it", () => {
  const first = drawAll([noise(5, 1)]);
  const greedy = draw(first.accounts, key(), noise(0.01, 1e9, 0.5), undefined);
  expect(greedy).toMatchObject({ refused: "taskBudget" });
  const own = { maxEpsilon: 3, delta: 1e-6 };
  expect(drawAll([noise(0.01, 1e9, 0.5)], own)).toMatchObject({
    made: 0,
    refused: { refused: "ownBudget" },
  });
  // A new name for the task is no new budget of the client's.
  const { accounts, made } = drawAll(Array<Draw>(1_000).fill(noise(3, 1e9)), own);
  expect(made).toBeGreaterThan(0);
  expect(draw(accounts, key("t2", "http://elsewhere"), noise(3, 1e9), own)).toMatchObject({
    refused: "ownBudget",
  });
});

test("[LD12] a task whose updates had noise, or a bound on their number, gets none without", () => {
  const plain: Draw = {};
  const bounded: Draw = { participation: { step: 1, minSeparation: 1, maxParticipations: 5 } };
  expect(isRefused(draw([], key(), plain, undefined))).toBe(false);
  const { accounts } = drawAll([noise(5)]);
  const noiseLeftOut = { refused: "noiseLeftOut" };
  expect(draw(accounts, key(), plain, undefined)).toMatchObject(noiseLeftOut);
  expect(draw(accounts, key(), bounded, undefined)).toMatchObject(noiseLeftOut);
  const other = drawAll([bounded]).accounts;
  const boundLeftOut = { refused: "boundLeftOut" };
  expect(draw(other, key(), plain, undefined)).toMatchObject(boundLeftOut);
  expect(draw(other, key(), noise(5), undefined)).toMatchObject(boundLeftOut);
  // Other tasks are as they were.
  expect(isRefused(draw(accounts, key("u"), plain, undefined))).toBe(false);
});

test("[LD6] a cost that no ledger could remember is refused, whatever budget is stated for it", () => {
  const refused = { refused: "taskBudget" };
  expect(draw([], key(), noise(1e-200, 1.7e308), undefined)).toMatchObject(refused);
});

test("[LD6] what is no number is refused", () => {
  for (const z of [Number.NaN, 0, 1e-300]) {
    expect(draw([], key(), noise(z), undefined)).toMatchObject({ refused: "taskBudget" });
  }
});

const part = (step: number, minSeparation = 10, maxParticipations = 3): Draw => ({
  participation: { step, minSeparation, maxParticipations },
});

test("[LD7] rounds are at least minSeparation apart and at most maxParticipations in all", () => {
  const outcomes = [1, 5, 11, 12, 20, 21, 31, 1_000].reduce<{
    accounts: readonly TaskAccount[];
    told: string[];
  }>(
    ({ accounts, told }, step) => {
      const outcome = draw(accounts, key(), part(step), undefined);
      return isRefused(outcome)
        ? { accounts, told: [...told, outcome.refused] }
        : { accounts: outcome, told: [...told, "made"] };
    },
    { accounts: [], told: [] },
  );
  const spent = "participations";
  expect(outcomes.told).toEqual([
    "made",
    "tooEarly",
    "made",
    "tooEarly",
    "tooEarly",
    "made",
    spent,
    spent,
  ]);
});

test("[LD7] the same step again is the same part; steps that go back, and looser limits, are not taken", () => {
  const { accounts } = drawAll([part(1), part(11)]);
  const again = draw(accounts, key(), part(11), undefined);
  expect(isRefused(again)).toBe(false);
  expect(again).toMatchObject([{ participations: { count: 2, lastStep: 11 } }]);
  expect(draw(accounts, key(), part(1), undefined)).toMatchObject({ refused: "tooEarly" });
  expect(draw(accounts, key(), part(12, 1, 99), undefined)).toMatchObject({ refused: "tooEarly" });
  const spent = drawAll([part(1), part(11), part(21)]).accounts;
  expect(draw(spent, key(), part(31, 1, 99), undefined)).toMatchObject({
    refused: "participations",
  });
});
