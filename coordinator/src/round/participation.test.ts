import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Participation } from "./participation.ts";
import { stepsToWait, withStep } from "./participation.ts";

const limits = { minSeparation: 3, maxParticipations: 2 };

describe("participation in a run", () => {
  test("[MM9] a client waits until its separation has passed, and for ever once it has had all its steps", () => {
    expect(stepsToWait(undefined, 0, limits)).toBe(0);
    const once = withStep(undefined, 4);
    expect([4, 5, 6, 7, 8].map((step) => stepsToWait(once, step, limits))).toEqual([3, 2, 1, 0, 0]);
    const twice = withStep(once, 7);
    expect(twice).toEqual({ lastStep: 7, count: 2 });
    expect(stepsToWait(twice, 100, limits)).toBe(Infinity);
    expect(stepsToWait({ lastStep: 0, count: Number.NaN }, 100, limits)).toBe(Infinity);
    expect(stepsToWait(once, 4, { ...limits, minSeparation: 1 })).toBe(1);
  });

  test("[MM9] whoever takes every step that it may keeps to the limits", () => {
    const anyLimits = fc.record({
      minSeparation: fc.integer({ min: 1, max: 6 }),
      maxParticipations: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(anyLimits, fc.array(fc.boolean(), { maxLength: 40 }), (any, offers) => {
        let known: Participation | undefined;
        const taken: number[] = [];
        for (const [step, isOffered] of offers.entries()) {
          if (!isOffered || stepsToWait(known, step, any) > 0) continue;
          known = withStep(known, step);
          taken.push(step);
        }
        expect(taken.length).toBeLessThanOrEqual(any.maxParticipations);
        for (const [i, step] of taken.entries()) {
          if (i > 0) expect(step - (taken[i - 1] ?? 0)).toBeGreaterThanOrEqual(any.minSeparation);
        }
      }),
    );
  });
});
