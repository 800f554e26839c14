import { isFederatedError, noiseGridOf } from "@tributary/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";

import { addLocalNoise, onGrid } from "./local-noise.ts";

const never = new AbortController().signal;
const noRest = async () => undefined;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "ok",
    (error: unknown) => (isFederatedError(error) ? error.code : String(error)),
  );

/** Squares of whole numbers, exactly. */
const squaresOf = (integers: Int32Array) =>
  integers.reduce((sum, value) => sum + BigInt(value) * BigInt(value), 0n);

const settings = fc.record({
  clippingNorm: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
  noiseMultiplier: fc.double({ min: 1e-3, max: 1e4, noNaN: true }),
});

test("[LD2] a clipped delta is whole steps of norm at most C, exactly, whatever it was", async () => {
  const deltas = fc.array(
    fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }),
      fc.constantFrom(-0, 1.401298464324817e-45, 3.4028234663852886e38, 0.5, -1.5),
    ),
    { minLength: 1, maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(deltas, settings, async (delta, chosen) => {
      const { step, normBound } = noiseGridOf(chosen);
      const integers = await onGrid(new Float32Array(delta), { step, normBound }, noRest);
      // normBound is C divided by a power of two: its square as a float is what the bound is.
      expect(Number(squaresOf(integers))).toBeLessThanOrEqual(normBound * normBound);
    }),
  );
  // Half a step everywhere: rounding alone would double the norm.
  const { step } = noiseGridOf({ clippingNorm: 1, noiseMultiplier: 1 });
  const half = new Float32Array(1_000).fill(step / 2);
  const bound = { step, normBound: Math.sqrt(1_000) / 2 };
  expect(Number(squaresOf(await onGrid(half, bound, noRest)))).toBeLessThanOrEqual(250);
});

test("[LD2] a delta inside the ball keeps its values to half a step, one outside its direction", async () => {
  const chosen = { clippingNorm: 5, noiseMultiplier: 1 };
  const grid = noiseGridOf(chosen);
  const inside = await onGrid(new Float32Array([3, -3.9, 0.1]), grid, noRest);
  for (const [i, value] of [3, -3.9, 0.1].entries()) {
    expect(Math.abs(inside[i]! * grid.step - value)).toBeLessThan(grid.step);
  }
  const outside = await onGrid(new Float32Array([30, -40, 0]), grid, noRest);
  expect(outside[0]! * grid.step).toBeCloseTo(3, 4);
  expect(outside[1]! * grid.step).toBeCloseTo(-4, 4);
  expect(outside[2]).toBe(0);
});

test("[LD2] every number sent is an integer below 2^24 times a power of two, which float32 holds exactly", async () => {
  await fc.assert(
    fc.asyncProperty(settings, async (chosen) => {
      const { step } = noiseGridOf(chosen);
      expect(Number.isInteger(Math.log2(step))).toBe(true);
      const largest = new Float32Array(64).fill(3e38);
      for (const value of await addLocalNoise(largest, chosen, never)) {
        expect(Number.isInteger(value / step)).toBe(true);
        expect(Math.abs(value / step)).toBeLessThan(2 ** 24);
      }
    }),
  );
});

test("[LD2] the grid is as fine as float32 allows, and both parities of its integers are as likely", async () => {
  const chosen = { clippingNorm: 1, noiseMultiplier: 1 };
  const { step, noiseStddev } = noiseGridOf(chosen);
  expect(noiseStddev).toBeGreaterThan(2 ** 19);
  const count = 1_000_000;
  let odd = 0;
  const residues = new Set<number>();
  for (const value of await addLocalNoise(new Float32Array(count), chosen, never)) {
    const integer = value / step;
    odd += Math.abs(integer % 2);
    residues.add(((integer % 1_024) + 1_024) % 1_024);
  }
  // 4.5 deviations of fair coins: once in 150 000 runs.
  expect(Math.abs(odd - count / 2)).toBeLessThan(4.5 * Math.sqrt(count / 4));
  expect(residues.size).toBe(1_024);
});

test("[LD3] the noise has z times 2 C as its standard deviation, z = 0.1, 1 and 10", async () => {
  const count = 1_000_000;
  for (const [noiseMultiplier, clippingNorm] of [
    [0.1, 1],
    [1, 1],
    [10, 1],
    [1, 0.125],
    [2.5, 40],
  ] as const) {
    const noisy = await addLocalNoise(
      new Float32Array(count),
      { noiseMultiplier, clippingNorm },
      never,
    );
    const expected = noiseMultiplier * 2 * clippingNorm;
    let sum = 0;
    let squares = 0;
    let neighbours = 0;
    for (let i = 0; i < count; i++) {
      const value = noisy[i]! / expected;
      sum += value;
      squares += value * value;
      if (i > 0) neighbours += (value * noisy[i - 1]!) / expected;
    }
    // 4.5 deviations of the estimators of 1e6 independent normal numbers: once in 150 000 runs.
    expect(Math.abs(sum / count)).toBeLessThan(4.5 / Math.sqrt(count));
    expect(Math.abs(squares / count - 1)).toBeLessThan(4.5 * Math.sqrt(2 / count));
    expect(Math.abs(neighbours / count)).toBeLessThan(4.5 / Math.sqrt(count));
  }
});

test("[LD3] the noise is normal: as many beyond 1, 2, 3 and 4 deviations as there must be", async () => {
  const count = 1_000_000;
  const noisy = await addLocalNoise(
    new Float32Array(count),
    { noiseMultiplier: 0.5, clippingNorm: 1 },
    never,
  );
  for (const [deviations, share] of [
    [1, 0.31731050786291415],
    [2, 0.04550026389635842],
    [3, 0.002699796063260189],
    [4, 0.00006334248366623973],
  ] as const) {
    const beyond = noisy.filter((value) => Math.abs(value) > deviations).length;
    expect(Math.abs(beyond - count * share)).toBeLessThan(4.5 * Math.sqrt(count * share));
  }
});

test("[LD3] noise is drawn anew each time", async () => {
  const chosen = { clippingNorm: 1, noiseMultiplier: 1 };
  const draw = () => addLocalNoise(new Float32Array(8), chosen, never);
  expect(await draw()).not.toEqual(await draw());
});

test("[LD4] what is not finite, or no float32 can carry, is refused and gives nothing", async () => {
  const chosen = { clippingNorm: 1, noiseMultiplier: 1 };
  for (const bad of [Number.NaN, Infinity, -Infinity]) {
    const delta = new Float32Array([1, bad, 1e9]);
    expect(await codeOf(addLocalNoise(delta, chosen, never))).toBe("UPDATE_NOT_FINITE");
  }
  for (const [clippingNorm, noiseMultiplier] of [
    [Number.NaN, 1],
    [1, Number.NaN],
    [0, 1],
    [1, 0],
    [1, -1],
    [1, Infinity],
    [1e38, 1e10],
    [1e-44, 1e-3],
  ] as const) {
    const work = addLocalNoise(new Float32Array(2), { clippingNorm, noiseMultiplier }, never);
    expect(await codeOf(work), `${clippingNorm} ${noiseMultiplier}`).toBe("CONFIG_INVALID");
  }
});

test("[LD5] noise on a large model leaves the event loop its turns, and stops when it is called off", async () => {
  const chosen = { clippingNorm: 1, noiseMultiplier: 1 };
  const called = new AbortController();
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (turns === 3) called.abort();
    else setImmediate(turn);
  };
  setImmediate(turn);
  // Far more than three turns' worth of work.
  const work = addLocalNoise(new Float32Array(20_000_000), chosen, called.signal);
  expect(await codeOf(work)).toBe("ABORTED");
  expect(turns).toBe(3);
});
