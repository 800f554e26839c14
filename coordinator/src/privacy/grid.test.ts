import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createGrid, gridFault } from "./grid.ts";

const isPowerOfTwo = (value: number) => {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  return (bits.getBigUint64(0) & 0xfffffffffffffn) === 0n;
};

describe("the grid of private sums", () => {
  test("[GR1] its step is the largest power of two not above z C / 2^20", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-3, max: 100, noNaN: true }),
        fc.double({ min: 1e-20, max: 1e20, noNaN: true }),
        (noiseMultiplier, clippingNorm) => {
          const { step } = createGrid({ noiseMultiplier, clippingNorm, parameterCount: 10 });
          const bound = (noiseMultiplier * clippingNorm) / 2 ** 20;
          expect(isPowerOfTwo(step)).toBe(true);
          expect(step <= bound && bound < 2 * step).toBe(true);
        },
      ),
    );
    // Powers of two themselves, and their neighbours, where a logarithm rounds.
    for (let e = -140; e < 80; e++) {
      const settings = { noiseMultiplier: 2 ** 20, parameterCount: 1 };
      const stepAt = (bound: number) => createGrid({ ...settings, clippingNorm: bound }).step;
      expect(stepAt(2 ** e)).toBe(2 ** e);
      expect(stepAt(2 ** e * (1 - 2 ** -53))).toBe(2 ** (e - 1));
      expect(stepAt(2 ** e * (1 + 2 ** -52))).toBe(2 ** e);
    }
  });

  test("[GR1] noise is measured by the norm after rounding: C + g sqrt(d) / 2", () => {
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 2, parameterCount: 1_000_000 });
    expect(grid.step).toBe(2 ** -19);
    expect(grid.roundedNorm).toBe(2 + 2 ** -20 * 1_000);
    expect(grid.noiseStddevSteps).toBe(2 ** 20 + 500);
    // 0.05 % of a million elements at z = 1
    expect(grid.roundedNorm / 2 - 1).toBeLessThan(5e-4);
    for (const noiseMultiplier of [0.1, 0.9, 3, 10]) {
      const { noiseStddevSteps } = createGrid({ ...grid, noiseMultiplier });
      expect(noiseStddevSteps).toBeGreaterThanOrEqual(2 ** 20);
      expect(noiseStddevSteps).toBeLessThan(2 ** 21.1);
    }
  });

  test("[GR1] as many deltas as it says can be summed, with room for noise, below 2^53", () => {
    for (const noiseMultiplier of [1e-6, 1e-3, 0.5, 1, 50]) {
      const grid = createGrid({ noiseMultiplier, clippingNorm: 0.3, parameterCount: 1_000 });
      const largest = Math.ceil(grid.clippingNorm / grid.step + 0.5);
      expect(grid.mostSummands * largest + 50 * grid.noiseStddevSteps).toBeLessThan(2 ** 53);
      expect((grid.mostSummands + 1) * largest).toBeGreaterThan(0.999 * 2 ** 51);
    }
  });

  test("[GR2] settings without a grid that works are refused with both values", () => {
    const good = { noiseMultiplier: 1, clippingNorm: 1, parameterCount: 10 };
    expect(gridFault(good, 2 ** 20)).toBeUndefined();
    expect(gridFault({ ...good, parameterCount: 2 ** 26 }, 2 ** 20)).toBeUndefined();
    const faults: [Partial<typeof good>, number, string[]][] = [
      [{ clippingNorm: 1e-60 }, 1, ["1e-60", "noiseMultiplier is 1 ", "float32"]],
      [{ clippingNorm: 1e-323 }, 1, ["1e-323", "step would be 0,"]],
      [{ clippingNorm: 1e60 }, 1, ["1e+60", "noiseMultiplier is 1 ", "float32"]],
      [{ clippingNorm: 1e300, noiseMultiplier: 1e300 }, 1, ["1e+300", "float32"]],
      [{ clippingNorm: 1e31, noiseMultiplier: 0.01 }, 1, ["1e+31", "0.01 ", "float32"]],
      [{ noiseMultiplier: 1e-30, clippingNorm: 1e-10 }, 1, ["1e-30", "1e-10", "float32"]],
      [
        { noiseMultiplier: 1_000, parameterCount: 2 ** 26 },
        1,
        ["1000 ", "67108864 parameters", "from 1 to"],
      ],
      [{ noiseMultiplier: 1e-6 }, 5_000, ["0.000001", "5000 clients", "only "]],
      [{ noiseMultiplier: 1e-12 }, 1, ["1e-12", "1 clients", "only 0"]],
    ];
    for (const [change, summands, parts] of faults) {
      const fault = gridFault({ ...good, ...change }, summands);
      for (const part of parts) expect(fault).toContain(part);
    }
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      expect(gridFault({ ...good, noiseMultiplier: bad })).toContain(`noiseMultiplier is ${bad}`);
      expect(gridFault({ ...good, clippingNorm: bad })).toContain(`clippingNorm ${bad}`);
      expect(gridFault({ ...good, parameterCount: bad })).toContain(`${bad} elements`);
      expect(() => createGrid({ ...good, clippingNorm: bad })).toThrow(
        expect.objectContaining({ code: "CONFIG_INVALID" }),
      );
    }
  });
});
