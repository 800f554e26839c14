import { encodePayload, l2Norm } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { GridSettings } from "../privacy/grid.ts";
import { createGrid } from "../privacy/grid.ts";
import { createGridSum } from "./grid-sum.ts";
import { denseDelta } from "./encoded-delta.ts";
import { LANES } from "./kernel/delta-sum.ts";
import { normOf } from "./kernel/open-kernel.ts";

const settings = { noiseMultiplier: 1, clippingNorm: 1, parameterCount: 3 };
const sumOf = (deltas: readonly (readonly number[])[], changes: Partial<GridSettings> = {}) => {
  const sum = createGridSum(createGrid({ ...settings, ...changes }));
  for (const delta of deltas)
    sum.add({ delta: denseDelta(Float32Array.from(delta)), numExamples: 1 });
  return sum;
};

/** Everything that is a finite float32: also -0, denormals and the largest. */
const anyFinite = fc.float({ noNaN: true, noDefaultInfinity: true });
const anyDelta = (length: number) => fc.array(anyFinite, { minLength: length, maxLength: length });

/** Is the norm of whole numbers of steps, computed without any rounding, at most C / g + sqrt(d) / 2? */
function isWithinBound(
  steps: Float64Array,
  { step, clippingNorm, parameterCount }: GridSettings & { step: number },
) {
  let squares = 0n;
  for (const value of steps) squares += BigInt(value) ** 2n;
  // In units of 2^-60 steps, the bound rounded down: a fault of a single round-off would be seen.
  const fraction = 2n ** 60n;
  const bound = scaled(clippingNorm / step) + scaled(Math.sqrt(parameterCount) / 2) - 2n ** 20n;
  return squares * fraction * fraction <= bound * bound;
}
/** A number times 2^60, exactly. */
const scaled = (value: number) => BigInt(value * 2 ** 60);

describe("the exact sum on a grid", () => {
  test("[GR3] it is the sum of the rounded deltas, in whole steps, ties to even", () => {
    const { grid } = sumOf([]);
    const g = grid.step;
    const sum = sumOf([
      [0.25, -0.5, 3 * g],
      [0.4 * g, -0.4 * g, 1.4 * g],
      [0.5 * g, 1.5 * g, -2.5 * g],
    ]);
    expect([...sum.sum()]).toEqual([0.25 / g, -0.5 / g + 2, 3 + 1 - 2]);
    expect(sum.count).toBe(3);
  });

  test("[GR3] any order of clients gives the same bits", () => {
    fc.assert(
      fc.property(
        fc.array(anyDelta(3), { minLength: 2, maxLength: 30 }),
        fc.integer({ min: 1, max: 29 }),
        (deltas, cut) => {
          const reordered = [...deltas.slice(cut), ...deltas.slice(0, cut)].reverse();
          expect(sumOf(reordered).sum()).toEqual(sumOf(deltas).sum());
        },
      ),
    );
  });

  test("[GR3] a thousand clients take nothing back: in and out again is nothing", () => {
    const deltas = Array.from({ length: 1_000 }, (_, k) => [Math.sin(k), 1e-3 * k, 1e7 / (k + 1)]);
    const negated = deltas.map((delta) => delta.map((value) => -value));
    expect([...sumOf([...deltas, ...negated.reverse()]).sum()]).toEqual([0, 0, 0]);
  });

  test("[GR4] one client changes the sum by at most its bound, without any allowance", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }).chain((length) => anyDelta(length)),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        fc.double({ min: 0.05, max: 20, noNaN: true }),
        (delta, clippingNorm, noiseMultiplier) => {
          const changes = { clippingNorm, noiseMultiplier, parameterCount: delta.length };
          const sum = sumOf([delta], changes);
          expect(isWithinBound(sum.sum(), sum.grid)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("[GR4] a quantised delta is bounded as it is decoded, from a slot and from elsewhere", () => {
    const length = 9_000;
    fc.assert(
      fc.property(
        fc.constantFrom("bfloat16", "int8", "int4"),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
        fc.boolean(),
        (kind, clippingNorm, size, isInSlot) => {
          const vector = Float32Array.from({ length }, (_, i) => Math.sin(i * i) * size);
          const bits = (halves: Uint16Array) => halves.map((_, i) => (i * 40_503) & 0xffff);
          const payload = encodePayload({ kind }, vector, (halves) => {
            halves.set(bits(halves));
            return halves;
          });
          const settings = { noiseMultiplier: 1, clippingNorm, parameterCount: length };
          const sum = createGridSum(createGrid(settings));
          const slot = isInSlot ? sum.slots.take(payload.length) : undefined;
          slot?.bytes.set(payload);
          const delta = { encoding: { kind }, parameterCount: length };
          sum.add({ delta: { ...delta, payload: slot?.bytes ?? payload }, numExamples: 1 });
          expect(isWithinBound(sum.sum(), sum.grid)).toBe(true);
          expect(sum.sum().some((steps) => steps !== 0)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("[GR4] what the norm's own sum loses to rounding is not gained by the client", () => {
    // In each lane of the norm's sum the squares are below half of its last bit, so float64 adds none of them.
    const delta = new Float32Array(2 ** 20).fill(2 ** -27).fill(1, 0, LANES);
    const clippingNorm = Math.sqrt(LANES);
    expect(normOf(denseDelta(delta))).toBe(clippingNorm);
    const sum = createGridSum(
      createGrid({ noiseMultiplier: 2 ** -29, clippingNorm, parameterCount: delta.length }),
    );
    sum.add({ delta: denseDelta(delta), numExamples: 1 });
    expect(isWithinBound(sum.sum(), sum.grid)).toBe(true);
  });

  test("[GR4] the whole vector is clipped: two tensors of norm C each together have norm C", () => {
    const [first, second] = [
      [0.6, 0.8],
      [0.8, -0.6],
    ];
    const sum = sumOf([[...first, ...second]], { parameterCount: 4 });
    const norm = l2Norm(sum.sum()) * sum.grid.step;
    expect(norm).toBeCloseTo(1, 5);
    expect(isWithinBound(sum.sum(), sum.grid)).toBe(true);
  });

  test("[GR4] weights are uniform: a client that claims 99 % of the examples counts once", () => {
    const sum = sumOf([]);
    const delta = Float32Array.of(2, -1, 2);
    sum.add({ delta: denseDelta(delta), numExamples: 99_000 });
    expect(isWithinBound(sum.sum(), sum.grid)).toBe(true);
    const alone = sum.sum().slice();
    for (let k = 0; k < 9; k++) sum.add({ delta: denseDelta(delta), numExamples: 1 + k });
    expect(sum.sum()).toEqual(alone.map((steps) => 10 * steps));
  });

  test("[GR4] what is within the ball is taken as it is, up to half a step", () => {
    const delta = [0.1, -0.2, 0.3];
    const { grid, ...sum } = sumOf([delta]);
    sum.sum().forEach((steps, i) => {
      expect(Math.abs(steps * grid.step - Math.fround(delta[i]!))).toBeLessThanOrEqual(
        grid.step / 2,
      );
    });
  });

  test("[GR5] what is not finite or of another length changes nothing, on whatever place", () => {
    fc.assert(
      fc.property(
        anyDelta(3),
        fc.integer({ min: 0, max: 2 }),
        fc.constantFrom(Number.NaN, Infinity, -Infinity, 1e308, -1e39),
        (delta, place, bad) => {
          const sum = sumOf([[0.1, 0.2, 0.3]]);
          const before = sum.sum().slice();
          const broken = Float32Array.from(delta);
          broken[place] = bad;
          const wrong = [broken, new Float32Array(0), new Float32Array(2), new Float32Array(4)];
          for (const delta of wrong) {
            expect(() => sum.add({ delta: denseDelta(delta), numExamples: 1 })).toThrow(RangeError);
          }
          expect(sum.sum()).toEqual(before);
          expect(sum.count).toBe(1);
        },
      ),
    );
  });

  test("[GR5] zero, -0 and denormals are deltas like any others, and leave no -0", () => {
    for (const nothing of [0, -0, 1e-45, -1e-45]) {
      const sum = sumOf([]);
      const delta = new Float32Array(3).fill(nothing);
      expect(() => sum.add({ delta: denseDelta(delta), numExamples: 1 })).not.toThrow();
      expect(sum.count).toBe(1);
      for (const steps of sum.sum()) expect(Object.is(steps, 0)).toBe(true);
    }
  });

  test("[GR5] the largest numbers there are clipped like any others", () => {
    const largest = 3.4028234663852886e38;
    const sum = sumOf([[largest, -largest, 0]]);
    const expected = Math.SQRT1_2 / sum.grid.step;
    expect(Math.abs(sum.sum()[0]! - expected)).toBeLessThanOrEqual(1);
    expect(sum.sum()[1]).toBe(-sum.sum()[0]!);
  });

  test("[GR3] an exact sum takes no more deltas than it has room for", () => {
    // The noise is so small that a single client's part has 2^49 steps.
    const sum = sumOf([], { noiseMultiplier: 2 ** -29, parameterCount: 1 });
    expect(sum.grid.mostSummands).toBe(3);
    const add = () => sum.add({ delta: denseDelta(Float32Array.of(1)), numExamples: 1 });
    for (let i = 0; i < 3; i++) add();
    const full = sum.sum()[0];
    expect(add).toThrow("room for 3");
    expect(sum.sum()[0]).toBe(full);
    expect(Number.isSafeInteger(full)).toBe(true);
  });

  test("[GR3] deltas are not kept: changing one afterwards changes nothing", () => {
    const sum = sumOf([]);
    const delta = Float32Array.of(0.25, 0, 0);
    sum.add({ delta: denseDelta(delta), numExamples: 1 });
    delta.fill(99);
    expect(sum.sum()[0]).toBe(0.25 / sum.grid.step);
  });
});
