import type { TaskSpec } from "@tributary/protocol";
import { createLayout, l2Norm, roundIdOf } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { AdaptiveSum } from "../aggregation/adaptive-sum.ts";
import { createAdaptiveSum } from "../aggregation/adaptive-sum.ts";
import { createGrid } from "../privacy/grid.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import { createIntegerNoise } from "../privacy/integer-noise.ts";
import { createSecureRandom } from "../privacy/random.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { affordableCharge } from "./budget.ts";
import { clippingNormAfter, planClippingNorm, roundNorm } from "./clipping.ts";
import { followNorm, mechanismOf, openSum } from "./round-sum.ts";
import { denseDelta } from "../aggregation/encoded-delta.ts";

const tensors = [{ name: "w", shape: [4] }];
const layout = await createLayout(tensors);
const specOf = (adaptiveClipping: object = {}): TaskSpec =>
  resolveTaskSpec({
    taskId: "t",
    model: { tensors },
    sampler: { kind: "uniform", cohortSize: 20 },
    clippingNorm: 1,
    privacy: {
      ...{ mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 50 },
      adaptiveClipping,
    },
  });
const fixed = resolveTaskSpec({ ...specOf(), privacy: { mechanism: "none" } });

const taskOf = (spec: TaskSpec) => ({
  ...{ taskId: spec.taskId, spec, layout, state: "running" as const, createdAt: 0 },
});

function adaptiveSumOf(clippingNorm: number, spec = specOf()): AdaptiveSum {
  const sum = openSum(taskOf(spec), { clippingNorm });
  if (sum.kind !== "adaptive") throw new Error("the sum has no bits");
  return sum;
}

const ofNorm = (norm: number) => ({
  delta: denseDelta(new Float32Array(4).fill(norm / 2)),
  numExamples: 1,
});

/** Adds nothing and remembers what it was asked for. */
function silence(): IntegerNoise & { readonly stddevs: readonly number[] } {
  const stddevs: number[] = [];
  return { stddevs, add: async (_sum, stddev) => void stddevs.push(stddev) };
}

describe("the sum of a round whose norm follows", () => {
  test("[AC3] counts each norm as it came, before it is clipped, and the delta clipped", () => {
    const sum = adaptiveSumOf(0.5);
    for (const norm of [0, 0.25, 0.5, 0.625, 40]) sum.add(ofNorm(norm));
    expect([...sum.bits()]).toEqual([3 - 2]);
    expect(sum.count).toBe(5);
    const summed = l2Norm(sum.sum()) * sum.grid.step;
    expect(summed).toBeCloseTo(0.25 + 0.5 + 0.5 + 0.5, 5);
  });

  test("[AC3] a delta that is refused has no bit either", () => {
    const sum = adaptiveSumOf(0.5);
    const nan = new Float32Array(4).fill(Number.NaN);
    const infinite = new Float32Array(4).fill(Infinity);
    for (const delta of [nan, infinite, new Float32Array(3)]) {
      expect(() => sum.add({ delta: denseDelta(delta), numExamples: 1 })).toThrow(RangeError);
    }
    expect([...sum.bits(), ...sum.sum(), sum.count]).toEqual([0, 0, 0, 0, 0, 0]);
    const full = createAdaptiveSum({
      ...createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: 4 }),
      mostSummands: 1,
    });
    full.add(ofNorm(0.5));
    expect(() => full.add(ofNorm(0.5))).toThrow("room");
    expect([...full.bits()]).toEqual([1]);
  });

  test("[AC9] its deltas get the larger noise of the split, its bits theirs, and z is what is charged", async () => {
    const spec = specOf({ bitNoiseStddev: 2 });
    const sum = adaptiveSumOf(0.5, spec);
    const split = (1 - 1 / 16) ** -0.5;
    const noise = silence();
    sum.add(ofNorm(0.25));
    await mechanismOf(spec, sum.grid, noise).release(sum.sum());
    await followNorm(spec, sum, noise);
    const [onDeltas, onBits] = noise.stddevs;
    expect((onDeltas! * sum.grid.step) / (split * 0.5)).toBeCloseTo(1, 5);
    expect(onBits).toBe(4);
    expect(
      affordableCharge(spec, { roundId: roundIdOf(spec.taskId, 1), claim: { kind: "none" } }, []),
    ).toMatchObject({ noiseMultiplier: 1 });
    // The grid is as fine for this norm as it would be for any other.
    for (const norm of [1e-3, 1, 1e3]) {
      const { grid } = adaptiveSumOf(norm, spec);
      expect(grid.clippingNorm).toBe(norm);
      expect(grid.noiseStddevSteps).toBeGreaterThanOrEqual(2 ** 20);
      expect(grid.noiseStddevSteps).toBeLessThan(2 ** 21 + 8);
    }
  });

  test("[AC9] the norm follows the count over the public denominator, whoever came", async () => {
    const sum = adaptiveSumOf(0.5);
    for (const norm of [0.1, 0.2, 0.3, 2]) sum.add(ofNorm(norm));
    const next = await followNorm(specOf(), sum, silence());
    // Three of four below, of twenty who were expected: 2 / 40 above one half.
    expect(next).toBeCloseTo(0.5 * Math.exp(-0.2 * (2 / 40)), 14);
    expect([...sum.bits()]).toEqual([2]);
  });

  test("[AC9] the noise on the bits is what it is said to be", async () => {
    const noise = createIntegerNoise(createSecureRandom());
    const spec = specOf({ bitNoiseStddev: 3, learningRate: 1 });
    const sum = adaptiveSumOf(0.5, spec);
    const draws = 4_000;
    let squares = 0;
    for (let i = 0; i < draws; i++) {
      const next = await followNorm(spec, sum, noise);
      // share - 1/2, of the twenty who were expected.
      squares += (Math.log(next / 0.5) * 20) ** 2;
    }
    // 3 clients, and the rounding to halves: 1 / 48. Five standard deviations of such an estimate.
    const variance = 9 + 1 / 48;
    expect(Math.abs(squares / draws / variance - 1)).toBeLessThan(5 * Math.sqrt(2 / draws));
  });

  test("[AC9] noise that fails releases no norm", async () => {
    const broken: IntegerNoise = { add: () => Promise.reject(new RangeError("no randomness")) };
    await expect(followNorm(specOf(), adaptiveSumOf(0.5), broken)).rejects.toThrow("no randomness");
    const mad: IntegerNoise = { add: async (sum) => void sum.fill(Number.NaN) };
    await expect(followNorm(specOf(), adaptiveSumOf(0.5), mad)).rejects.toThrow("finite");
    expect(() => openSum(taskOf(specOf()), {})).toThrow("clippingNorm NaN");
  });
});

describe("the norm of a version", () => {
  test("[AC6] is the task's at first, then its own; one that is lost or out of bounds is never replaced", () => {
    const spec = specOf();
    expect(clippingNormAfter(spec, { modelVersion: 0 })).toBe(1);
    expect(clippingNormAfter(spec, { modelVersion: 3, clippingNorm: 0.3 })).toBe(0.3);
    expect(roundNorm(spec, { modelVersion: 3, clippingNorm: 0.3 })).toEqual({ clippingNorm: 0.3 });
    for (const clippingNorm of [undefined, Number.NaN, 0, 1e-4, 1e4, Infinity]) {
      const version = { modelVersion: 3, ...(clippingNorm === undefined ? {} : { clippingNorm }) };
      expect(() => clippingNormAfter(spec, version)).toThrow("restore the data from a backup");
    }
  });

  test("[AC6] a fixed norm is the task's in every version, and in no record of a round", () => {
    expect(clippingNormAfter(fixed, { modelVersion: 3 })).toBe(1);
    expect(roundNorm(fixed, { modelVersion: 3 })).toEqual({});
  });

  test("[AC8] clients clip to twice the largest norm, so that every norm of a round is seen as it is", () => {
    expect(planClippingNorm(specOf({ maxNorm: 8 }))).toBe(16);
    expect(planClippingNorm(fixed)).toBe(1);
  });
});
