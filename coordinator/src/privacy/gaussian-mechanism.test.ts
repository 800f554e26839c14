import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { centralGaussian } from "./gaussian-mechanism.ts";
import { createGridSum } from "../aggregation/grid-sum.ts";
import { createGrid, gridFault } from "./grid.ts";
import type { IntegerNoise } from "./integer-noise.ts";
import { createIntegerNoise } from "./integer-noise.ts";
import { createSecureRandom } from "./random.ts";
import { denseDelta } from "../aggregation/encoded-delta.ts";

const noise = createIntegerNoise(createSecureRandom());
/** Adds 7 to each element. */
const sevens: IntegerNoise = {
  add: async (sum) => sum.forEach((value, i) => void (sum[i] = value + 7)),
};

/** Asked a second time of fresh samples before a test fails: by chance once in 10^7 runs. */
async function hasStddev(draw: () => Promise<Float64Array>, stddev: number): Promise<boolean> {
  const once = async () => {
    const samples = await draw();
    const squares = samples.reduce((sum, sample) => sum + sample * sample, 0);
    const measured = Math.sqrt(squares / samples.length);
    return Math.abs(measured / stddev - 1) < 3.9 / Math.sqrt(2 * samples.length);
  };
  return (await once()) || once();
}

describe("the Gaussian mechanism", () => {
  test("[DP6] noise of z times the rounded norm goes on the sum: z C at 0.1, 1 and 10", async () => {
    for (const [noiseMultiplier, clippingNorm] of [
      [0.1, 1],
      [1, 1],
      [10, 1],
      [1, 0.1],
      [0.5, 20],
    ] as const) {
      const parameterCount = 200_000;
      const grid = createGrid({ noiseMultiplier, clippingNorm, parameterCount });
      const mechanism = centralGaussian({ grid, expectedReports: 1 }, noise);
      const wanted = noiseMultiplier * clippingNorm;
      expect(mechanism.sumNoiseStddev / wanted).toBeGreaterThanOrEqual(1);
      expect(mechanism.sumNoiseStddev / wanted).toBeLessThan(1.003);
      const draw = () => mechanism.release(new Float64Array(parameterCount));
      expect(await hasStddev(draw, mechanism.sumNoiseStddev), `stddev ${wanted}`).toBe(true);
    }
  });

  test("[DP6] noise and denominator are the same at 0, 30, 70 and 100 % drop-out", async () => {
    const parameterCount = 100_000;
    const grid = createGrid({ noiseMultiplier: 3, clippingNorm: 2, parameterCount });
    const mechanism = centralGaussian({ grid, expectedReports: 10 }, noise);
    expect(mechanism.meanNoiseStddev).toBeCloseTo(0.6, 3);
    const perClient = 0.001 / grid.step;
    for (const responders of [10, 7, 3, 0]) {
      const sum = new Float64Array(parameterCount).fill(Math.round(perClient) * responders);
      const mean = (sum[0]! * grid.step) / 10;
      const residue = async () => (await mechanism.release(sum)).map((value) => value - mean);
      expect(await hasStddev(residue, mechanism.meanNoiseStddev), `${responders} reports`).toBe(
        true,
      );
      expect(sum[0]).toBe(Math.round(perClient) * responders);
    }
  });

  test("[GR2] whatever is not refused works, to the edges: sums, noise and the mean stay within float32", async () => {
    const exponent = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        exponent(-12, 8),
        exponent(-60, 45),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        async (noisePower, normPower, clients, isSmall) => {
          const noiseMultiplier = 10 ** noisePower;
          const clippingNorm = 10 ** normPower;
          const settings = { noiseMultiplier, clippingNorm, parameterCount: 5 };
          if (gridFault(settings, clients) !== undefined) return;
          accepted += 1;
          const sum = createGridSum(createGrid(settings));
          const size = isSmall ? Math.fround(clippingNorm / 4) : 3.4e38;
          for (let k = 0; k < clients; k++) {
            sum.add({
              delta: denseDelta(new Float32Array(5).fill(k % 3 === 0 ? -size : size)),
              numExamples: 1,
            });
          }
          const mechanism = centralGaussian({ grid: sum.grid, expectedReports: 0.5 }, noise);
          const mean = await mechanism.release(sum.sum());
          expect(mean.map(Math.fround).every(Number.isFinite)).toBe(true);
          expect(mean.some((value) => value !== 0)).toBe(true);
        },
      ),
      { numRuns: 400 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test("[GR6] a released value is a whole number of steps, divided once", async () => {
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: 3 });
    const mechanism = centralGaussian({ grid, expectedReports: 3 }, sevens);
    const sum = Float64Array.of(0, 5, -(2 ** 40));
    expect([...(await mechanism.release(sum))]).toEqual(
      [7, 12, 7 - 2 ** 40].map((steps) => (steps * 2 ** -20) / 3),
    );
    expect([...sum]).toEqual([0, 5, -(2 ** 40)]);
  });

  test("[GR6] last bits tell nothing of the sum: a million released values are even or odd alike", async () => {
    const parameterCount = 1_000_000;
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount });
    const mechanism = centralGaussian({ grid, expectedReports: 1 }, noise);
    // An even sum, an odd one, and one with every bit set.
    for (const steps of [0, 1, 2 ** 40 - 1]) {
      const isFair = async () => {
        const released = await mechanism.release(new Float64Array(parameterCount).fill(steps));
        const counts = new Array<number>(64).fill(0);
        for (const value of released) {
          const whole = value / grid.step;
          if (!Number.isSafeInteger(whole)) return false;
          counts[((whole % 64) + 64) % 64]! += 1;
        }
        const odd = counts.reduce((sum, count, residue) => sum + (residue % 2) * count, 0);
        const expected = parameterCount / 64;
        const chiSquare = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
        // 99.99 %: 3.9 standard deviations of a coin; chi-square with 63 degrees of freedom
        return Math.abs(odd - parameterCount / 2) < 3.9 * 500 && chiSquare > 28 && chiSquare < 117;
      };
      expect((await isFair()) || (await isFair()), `a sum of ${steps}`).toBe(true);
    }
  });

  test("[GR6] noise reaches every whole number: there are no gaps that move with the sum", async () => {
    for (const start of [0, 1]) {
      const sum = new Float64Array(1_000_000).fill(start);
      await noise.add(sum, 1_000);
      const seen = new Set(sum);
      // Each is expected more than fifty times.
      const missing = Array.from({ length: 4_001 }, (_, i) => start + i - 2_000);
      expect(missing.filter((value) => !seen.has(value))).toEqual([]);
    }
  });

  test("[GR8] a large release leaves turns to others, outside of the noise, too", async () => {
    const parameterCount = 3 * 2 ** 20 + 5;
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount });
    let turns = 0;
    let done = false;
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const sum = Float64Array.from({ length: parameterCount }, (_, i) => i);
    const mean = await centralGaussian({ grid, expectedReports: 2 }, sevens).release(sum);
    done = true;
    expect(turns).toBeGreaterThanOrEqual(6);
    expect(mean.findIndex((value, i) => value !== ((i + 7) * grid.step) / 2)).toBe(-1);
  });

  test("[DP7] nothing is released of what is not a sum of this grid, or by noise that left it", async () => {
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: 2 });
    const release = (sum: Float64Array, by = noise) =>
      centralGaussian({ grid, expectedReports: 1 }, by).release(sum);
    for (const bad of [Number.NaN, Infinity, -Infinity, 0.5, 2 ** 53]) {
      await expect(release(Float64Array.of(1, bad))).rejects.toThrow("whole numbers");
      const broken: IntegerNoise = { add: async (sum) => void (sum[1] = bad) };
      await expect(release(new Float64Array(2), broken)).rejects.toThrow("a noisy sum on a grid");
    }
    for (const length of [0, 1, 3]) {
      await expect(release(new Float64Array(length))).rejects.toThrow(`${length} elements`);
    }
    const failing: IntegerNoise = { add: () => Promise.reject(new Error("the worker died")) };
    await expect(release(new Float64Array(2), failing)).rejects.toThrow("the worker died");
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      expect(() => centralGaussian({ grid, expectedReports: bad }, noise)).toThrow(
        "expectedReports",
      );
    }
    const tiny = centralGaussian({ grid, expectedReports: 1e-320 }, noise);
    await expect(tiny.release(Float64Array.of(2 ** 50, 0))).rejects.toThrow("not finite");
  });
});
