import { epsilonOf, sampledGaussian } from "@tributary/coordinator/privacy";
import { expect, test } from "vitest";

import { PRIVACY_CASE } from "./cases.ts";
import { bestWithin, runPrivacyCase } from "./privacy-case.ts";
import type { PrivacyPoint, PrivacyResult } from "./privacy-case.ts";

const point = (round: number, epsilon: number, accuracy: number): PrivacyPoint => ({
  ...{ round, epsilon, accuracy },
  loss: 1,
});

test("[LE7] accuracy at an epsilon is that of the last model it pays for, in the plan that does best", () => {
  const runs = [
    { noiseMultiplier: 1, curve: [point(1, 1, 0.6), point(2, 2, 0.9), point(3, 3, 0.8)] },
    { noiseMultiplier: 2, curve: [point(1, 0.5, 0.5), point(2, 0.9, 0.7), point(3, 1.1, 0.75)] },
  ];
  expect(bestWithin(0.4, runs)).toBeUndefined();
  expect(bestWithin(1, runs)).toEqual({ epsilon: 1, accuracy: 0.7, noiseMultiplier: 2, round: 2 });
  expect(bestWithin(2, runs)).toMatchObject({ accuracy: 0.9, noiseMultiplier: 1, round: 2 });
  // Not 0.9: only who looks at the test images knows that it was better before.
  expect(bestWithin(3, runs)).toMatchObject({ accuracy: 0.8, noiseMultiplier: 1, round: 3 });
});

test("[LE7] every plan runs with its noise and is charged for it; results so far are handed out after each", async () => {
  const heard: PrivacyResult[] = [];
  const small = {
    ...PRIVACY_CASE,
    // Everybody at hand has the images themselves; who wrote them only where the file is.
    job: {
      ...PRIVACY_CASE.job,
      partition: { kind: "iid" as const },
      clients: 100,
      cohort: 5,
      epochs: 1,
      batchSize: 200,
    },
    goal: { accuracy: 0.999, epsilon: 1 },
    plans: [
      { rounds: 1, noiseMultiplier: 1.5, serverLearningRate: 1 },
      { rounds: 2, targetEpsilon: 1, serverLearningRate: 1 },
    ],
    epsilons: [0.001, 1],
  };
  const result = await runPrivacyCase(small, {
    seed: 1,
    processes: 0,
    onResult: (partial) => Promise.resolve(void heard.push(partial)),
  });
  expect(heard.map(({ runs }) => runs.length)).toEqual([1, 2]);
  expect(heard[1]).toEqual(result);
  const [fixed, calibrated] = result.runs;
  if (fixed === undefined || calibrated === undefined) expect.fail("two runs");
  const charge = sampledGaussian(1.5, 0.05);
  expect(fixed.epsilon).toBe(epsilonOf([charge], PRIVACY_CASE.delta).epsilon);
  expect(fixed.curve).toHaveLength(1);
  expect(calibrated).toMatchObject({ rounds: 2, targetEpsilon: 1 });
  expect(calibrated.epsilon).toBeLessThanOrEqual(1);
  expect(calibrated.epsilon).toBeGreaterThan(0.999);
  expect(calibrated.noiseMultiplier).not.toBe(1.5);
  expect(calibrated.curve.at(-1)).toMatchObject({
    epsilon: calibrated.epsilon,
    accuracy: calibrated.accuracy,
  });
  expect(calibrated.statement).toContain("Each client's whole contribution is protected");
  expect(result.accuracyAtEpsilon.map(({ epsilon }) => epsilon)).toEqual([1]);
  expect(result.reached).toBe(false);
}, 240_000);
