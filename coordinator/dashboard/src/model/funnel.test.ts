import fc from "fast-check";
import { expect, test } from "vitest";

import { countsOf, privateTaskOf, roundOf, taskOf } from "../data/resources.fixture.ts";
import { cohortFunnel, isWithheld } from "./funnel.ts";

test("[DB9] whatever became of a cohort, the parts add up to it, and their shares to one", () => {
  const count = fc.integer({ min: 0, max: 5000 });
  fc.assert(
    fc.property(fc.tuple(count, count, count, count, count, count, count), (counts) => {
      const [reported, pending, declined, left, disconnected, rejected, timedOut] = counts;
      const selected = counts.reduce((sum, value) => sum + value, 0);
      const participants = countsOf({
        ...{ selected, reported, pending, declined, left, disconnected, rejected, timedOut },
      });
      const funnel = cohortFunnel(roundOf(1, { participants }), 3);
      if (funnel === undefined) throw new Error("withheld");
      expect(funnel.steps.reduce((sum, step) => sum + step.count, 0)).toBe(selected);
      const shares = funnel.steps.reduce((sum, { share }) => sum + share, 0);
      expect(shares).toBeCloseTo(selected === 0 ? 0 : 1);
      expect(funnel.waiting).toBe(3);
    }),
  );
});

test("[DB9] refused updates are told by reason, the most frequent first", () => {
  const rejections = { UPDATE_NOT_FINITE: 2, UPDATE_LAYOUT_MISMATCH: 7, TASK_EXISTS: 1 } as const;
  expect(cohortFunnel(roundOf(1, { rejections }), 0)?.refusals).toEqual([
    { code: "UPDATE_LAYOUT_MISMATCH", words: "Update does not fit the model", count: 7 },
    { code: "UPDATE_NOT_FINITE", words: "Update has values that are no numbers", count: 2 },
    { code: "TASK_EXISTS", words: "task exists", count: 1 },
  ]);
});

test("[DB9] what privacy withholds is no funnel of zeros: there is none, and the task says that it is withheld", () => {
  const shown = roundOf(1, { participants: undefined, rejections: undefined, phases: undefined });
  expect(cohortFunnel(shown, undefined)).toBeUndefined();
  expect(isWithheld(privateTaskOf())).toBe(true);
  expect(isWithheld(privateTaskOf({ clientsWaiting: 0 }))).toBe(false);
  expect(isWithheld(taskOf())).toBe(false);
});
