import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { clipFactor, clipToNorm, l2Norm, subtract } from "./index.ts";

const finite32 = fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 50 });
const finite64 = fc.float64Array({ noNaN: true, min: -1e300, max: 1e300, maxLength: 50 });
const radius = fc.double({ min: 1e-3, max: 1e3, noNaN: true });

describe("norm", () => {
  it("[PR11] is the L2 norm, to the precision of float64", () => {
    fc.assert(
      fc.property(finite32, (vector) => {
        const expected = Math.hypot(...vector);
        expect(Math.abs(l2Norm(vector) - expected)).toBeLessThanOrEqual(1e-12 * expected);
      }),
    );
    expect(l2Norm(new Float32Array([3, 4]))).toBe(5);
    expect(l2Norm(new Float32Array(0))).toBe(0);
    expect(l2Norm(new Float32Array([-7]))).toBe(7);
  });

  it("[PR11] is finite exactly when every element is", () => {
    const poison = fc.constantFrom(Number.NaN, Infinity, -Infinity);
    fc.assert(
      fc.property(finite32, finite64, poison, fc.nat(), (single, double, value, at) => {
        expect(Number.isFinite(l2Norm(single))).toBe(true);
        for (const vector of [single, double]) {
          if (vector.length === 0) continue;
          vector[at % vector.length] = value;
          expect(Number.isFinite(l2Norm(vector))).toBe(false);
        }
      }),
    );
    const largest = new Float32Array(10_000).fill(3.4e38);
    expect(l2Norm(largest) / 3.4e40).toBeCloseTo(1, 5);
  });

  it("[PR11] of float64 numbers whose squares overflow is still right", () => {
    expect(l2Norm(new Float64Array([3e200, 4e200])) / 5e200).toBeCloseTo(1, 12);
    expect(l2Norm(new Float64Array([1e308, Infinity]))).not.toBe(0);
    expect(Number.isFinite(l2Norm(new Float64Array([1e308, Number.NaN, 1e308])))).toBe(false);
  });
});

describe("clip", () => {
  it("[PR12] brings any finite vector into the ball and keeps its direction", () => {
    fc.assert(
      fc.property(finite64, radius, (vector, clippingNorm) => {
        const before = Float64Array.from(vector);
        const norm = clipToNorm(vector, clippingNorm);
        expect(norm).toBe(l2Norm(before));
        expect(l2Norm(vector)).toBeLessThanOrEqual(clippingNorm * (1 + 1e-12));
        const factor = clipFactor(norm, clippingNorm);
        vector.forEach((value, i) => expect(value).toBe(before[i]! * factor));
      }),
    );
  });

  it("[PR12] leaves what is inside untouched, the zero vector too", () => {
    const inside = new Float32Array([0.3, -0.4]);
    expect(clipToNorm(inside, 2)).toBeCloseTo(0.5, 6);
    expect([...inside]).toEqual([Math.fround(0.3), Math.fround(-0.4)]);
    expect(clipToNorm(new Float32Array(3), 1)).toBe(0);
    expect(clipFactor(0, 1)).toBe(1);
    expect(clipFactor(4, 1)).toBe(0.25);
    expect(clipFactor(4, 3)).toBe(0.75);
  });

  it("[PR12] refuses a vector that is not finite and leaves it as it was", () => {
    const vector = new Float32Array([1, Number.NaN, 100]);
    expect(() => clipToNorm(vector, 1)).toThrow(RangeError);
    expect([...vector]).toEqual([1, Number.NaN, 100]);
    expect(clipFactor(Infinity, 1)).toBeNaN();
    expect(clipFactor(Number.NaN, 1)).toBeNaN();
  });
});

describe("delta", () => {
  it("[PR13] is trained - received", () => {
    const trained = new Float32Array([3, 1, -2]);
    const received = new Float32Array([1, 4, -2]);
    expect([...subtract(trained, received)]).toEqual([2, -3, 0]);
    expect(() => subtract(trained, new Float32Array(2))).toThrow(RangeError);
  });
});
