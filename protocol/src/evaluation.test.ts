import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { EvaluationSums } from "./index.ts";
import { addEvaluationSums, summarizeEvaluation } from "./index.ts";

/** Sums of labels and predictions, counted one by one. */
function count(classes: number, pairs: readonly (readonly [number, number])[]): EvaluationSums {
  const zeros = () => Array<number>(classes).fill(0);
  const [truePositives, falsePositives, falseNegatives] = [zeros(), zeros(), zeros()];
  for (const [label, predicted] of pairs) {
    if (label === predicted) truePositives[label]! += 1;
    else {
      falseNegatives[label]! += 1;
      falsePositives[predicted]! += 1;
    }
  }
  const lossSum = pairs.length / 4;
  return { numExamples: pairs.length, lossSum, truePositives, falsePositives, falseNegatives };
}

const anyPairs = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 2 })), {
  minLength: 1,
  maxLength: 30,
});

describe("evaluation", () => {
  it("[PR20] measures as scikit-learn does (zero_division=0)", () => {
    // sklearn.metrics on y = [0,0,0,1,1,2], p = [0,0,1,1,2,1]
    const pairs = [
      [0, 0],
      [0, 0],
      [0, 1],
      [1, 1],
      [1, 2],
      [2, 1],
    ] as const;
    const result = summarizeEvaluation(count(3, pairs), "central");
    expect(result).toMatchObject({ source: "central", numExamples: 6, loss: 0.25, accuracy: 0.5 });
    expect(result.perClass).toEqual([
      { precision: 1, recall: 2 / 3, f1: 0.8, support: 3 },
      { precision: 1 / 3, recall: 0.5, f1: 0.4, support: 2 },
      { precision: 0, recall: 0, f1: 0, support: 1 },
    ]);
    expect(result.macro?.precision).toBeCloseTo(4 / 9, 12);
    expect(result.macro?.recall).toBeCloseTo(7 / 18, 12);
    expect(result.macro?.f1).toBeCloseTo(0.4, 12);
  });

  it("[PR20] every measure lies between 0 and 1, and accuracy is the share of hits", () => {
    fc.assert(
      fc.property(anyPairs, (pairs) => {
        const result = summarizeEvaluation(count(3, pairs), "federated");
        const hits = pairs.filter(([label, predicted]) => label === predicted).length;
        expect(result.accuracy).toBeCloseTo(hits / pairs.length, 12);
        for (const { precision, recall, f1 } of [result.macro!, ...result.perClass!]) {
          for (const value of [precision, recall, f1]) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThanOrEqual(1);
          }
        }
      }),
    );
  });

  it("[PR21] sums of parts are the sums of the whole, in any order", () => {
    fc.assert(
      fc.property(anyPairs, anyPairs, (a, b) => {
        const [left, right] = [count(3, a), count(3, b)];
        expect(addEvaluationSums(left, right)).toEqual(count(3, [...a, ...b]));
        expect(addEvaluationSums(right, left)).toEqual(addEvaluationSums(left, right));
      }),
    );
    expect(() => addEvaluationSums(count(2, [[0, 0]]), count(3, [[0, 0]]))).toThrow(RangeError);
  });

  it("[PR20] a task without classes has a loss and nothing else; no examples, no measure", () => {
    const sums = count(0, []);
    expect(() => summarizeEvaluation(sums, "central")).toThrow(RangeError);
    expect(summarizeEvaluation({ ...sums, numExamples: 4, lossSum: 2 }, "central")).toEqual({
      source: "central",
      numExamples: 4,
      loss: 0.5,
    });
  });
});
