import { l2Norm } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createFedAvg } from "./fed-avg.ts";
import { validateUpdate } from "./validate-update.ts";
import { denseDelta } from "./encoded-delta.ts";

const vectorOf = (length: number) =>
  fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
    minLength: length,
    maxLength: length,
  });
const uniform = { kind: "uniform" } as const;

describe("federated averaging", () => {
  test("[AG1] the mean is the weighted mean of the deltas, by examples up to the cap", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(vectorOf(3), fc.integer({ min: 1, max: 1_000 })), { minLength: 1 }),
        fc.integer({ min: 1, max: 500 }),
        (updates, cap) => {
          const average = createFedAvg({
            parameterCount: 3,
            weighting: { kind: "byExamples", cap },
          });
          for (const [delta, numExamples] of updates) {
            average.add({ delta: denseDelta(Float32Array.from(delta)), numExamples });
          }
          const weights = updates.map(([, n]) => Math.min(n, cap));
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          average.mean().forEach((value, i) => {
            const exact =
              updates.reduce((sum, [delta], k) => sum + Math.fround(delta[i]!) * weights[k]!, 0) /
              total;
            expect(Math.abs(value - exact)).toBeLessThanOrEqual(1e-9 * (1 + Math.abs(exact)));
          });
        },
      ),
    );
  });

  test("[AG1] every element is summed, whatever the length", () => {
    for (let length = 1; length <= 9; length++) {
      const average = createFedAvg({ parameterCount: length, weighting: uniform });
      const delta = Float32Array.from({ length }, (_, i) => i + 1);
      average.add({ delta: denseDelta(delta), numExamples: 1 });
      average.add({ delta: denseDelta(delta), numExamples: 1 });
      expect([...average.sum()]).toEqual([...delta].map((value) => 2 * value));
      expect([...average.mean()]).toEqual([...delta]);
    }
  });

  test("[AG1] uniform weights ignore numbers of examples", () => {
    const average = createFedAvg({ parameterCount: 1, weighting: uniform });
    average.add({ delta: denseDelta(Float32Array.of(1)), numExamples: 1 });
    average.add({ delta: denseDelta(Float32Array.of(3)), numExamples: 1_000_000 });
    expect([...average.mean()]).toEqual([2]);
    expect(average).toMatchObject({ count: 2, totalWeight: 2 });
  });

  test("[AG2] the sum is exact where float32 would lose small deltas beside large ones", () => {
    const average = createFedAvg({ parameterCount: 1, weighting: uniform });
    average.add({ delta: denseDelta(Float32Array.of(2 ** 24)), numExamples: 1 });
    for (let i = 0; i < 1_000; i++)
      average.add({ delta: denseDelta(Float32Array.of(1)), numExamples: 1 });
    expect(average.sum()[0]).toBe(2 ** 24 + 1_000);
  });

  test("[AG3] no delta adds more than clippingNorm to the sum, whatever its sender claims", () => {
    fc.assert(
      fc.property(
        vectorOf(5),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (delta, clippingNorm) => {
          const average = createFedAvg({ parameterCount: 5, weighting: uniform, clippingNorm });
          const given = Float32Array.from(delta);
          average.add({ delta: denseDelta(given), numExamples: 1 });
          expect(l2Norm(average.sum())).toBeLessThanOrEqual(clippingNorm * (1 + 1e-12));
          // + 0, because a sum has no -0
          if (l2Norm(given) <= clippingNorm) {
            expect([...average.sum()]).toEqual([...given].map((value) => value + 0));
          }
        },
      ),
    );
  });

  test("[AG3] a zero delta counts as a client that changed nothing, clipped or not", () => {
    const average = createFedAvg({ parameterCount: 2, weighting: uniform, clippingNorm: 1 });
    average.add({ delta: denseDelta(new Float32Array(2)), numExamples: 1 });
    average.add({ delta: denseDelta(Float32Array.of(0, 3)), numExamples: 1 });
    expect([...average.mean()]).toEqual([0, 0.5]);
  });

  test("[AG8] over a public denominator one client moves the mean by at most clippingNorm / denominator", () => {
    fc.assert(
      fc.property(fc.array(vectorOf(3), { minLength: 1 }), vectorOf(3), (others, extra) => {
        const meanOf = (deltas: number[][]) => {
          const average = createFedAvg({ parameterCount: 3, weighting: uniform, clippingNorm: 2 });
          for (const delta of deltas)
            average.add({ delta: denseDelta(Float32Array.from(delta)), numExamples: 9 });
          return average.mean(7);
        };
        const without = meanOf(others);
        const difference = meanOf([...others, extra]).map((value, i) => value - without[i]!);
        expect(l2Norm(difference)).toBeLessThanOrEqual((2 / 7) * (1 + 1e-9));
      }),
    );
  });

  test("[AG8] a denominator that is no positive number is refused, and nobody reporting is a zero mean", () => {
    const average = createFedAvg({ parameterCount: 2, weighting: uniform });
    expect([...average.mean(5)]).toEqual([0, 0]);
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      expect(() => average.mean(bad)).toThrow("no mean");
    }
  });

  test("[AG4] deltas are not kept: changing one afterwards changes nothing", () => {
    const average = createFedAvg({ parameterCount: 2, weighting: uniform });
    const delta = Float32Array.of(1, 2);
    average.add({ delta: denseDelta(delta), numExamples: 1 });
    delta.fill(99);
    expect([...average.sum()]).toEqual([1, 2]);
  });

  test("[AG5] a delta that is not finite or of another length never reaches the sum", () => {
    const average = createFedAvg({ parameterCount: 2, weighting: uniform, clippingNorm: 1 });
    expect(() =>
      average.add({ delta: denseDelta(Float32Array.of(Number.NaN, 1e9)), numExamples: 1 }),
    ).toThrow();
    expect(() => average.add({ delta: denseDelta(Float32Array.of(1)), numExamples: 1 })).toThrow();
    const byExamples = createFedAvg({
      parameterCount: 2,
      weighting: { kind: "byExamples", cap: 10 },
    });
    for (const numExamples of [0, -3, Number.NaN]) {
      expect(() => byExamples.add({ delta: denseDelta(new Float32Array(2)), numExamples })).toThrow(
        "example",
      );
    }
    expect([...average.sum()]).toEqual([0, 0]);
    expect(average.count).toBe(0);
    expect(() => average.mean()).toThrow("no mean");
  });
});

describe("validation", () => {
  const expected = { parameterCount: 2 };
  test("[AG5] length, examples and finiteness are checked, a zero vector is fine", () => {
    expect(validateUpdate(denseDelta(new Float32Array(2)), 1, expected)).toEqual({ norm: 0 });
    expect(validateUpdate(denseDelta(Float32Array.of(3, 4)), 1, expected)).toEqual({ norm: 5 });
    const code = (delta: Float32Array, numExamples: number) => {
      try {
        validateUpdate(denseDelta(delta), numExamples, expected);
        return "accepted";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code(new Float32Array(3), 1)).toBe("UPDATE_LAYOUT_MISMATCH");
    for (const n of [0, -1, 1.5, Number.NaN])
      expect(code(new Float32Array(2), n)).toBe("MALFORMED_MESSAGE");
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      expect(code(Float32Array.of(1, bad), 1)).toBe("UPDATE_NOT_FINITE");
    }
    expect(code(Float32Array.of(3e38, 3e38), 1)).toBe("accepted");
  });
});
