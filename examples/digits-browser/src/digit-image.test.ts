import fc from "fast-check";
import { expect, test } from "vitest";

import type { Point, Stroke } from "./digit-image.ts";
import { prepareDigit } from "./digit-image.ts";
import { IMAGE_SIDE } from "./model.ts";

const line = (...points: readonly (readonly [number, number])[]): Stroke =>
  points.map(([x, y]) => ({ x, y }));

/** Rows and columns that have ink, and the ink's centre of mass, in pixels. */
function measure(image: Uint8Array) {
  const inked = [...image.keys()].filter((at) => image[at]! > 0);
  const columns = inked.map((at) => at % IMAGE_SIDE);
  const rows = inked.map((at) => Math.floor(at / IMAGE_SIDE));
  const mass = image.reduce((sum, ink) => sum + ink, 0);
  const centre = (place: (at: number) => number) =>
    image.reduce((sum, ink, at) => sum + ink * (place(at) + 0.5), 0) / mass;
  return {
    width: Math.max(...columns) - Math.min(...columns) + 1,
    height: Math.max(...rows) - Math.min(...rows) + 1,
    x: centre((at) => at % IMAGE_SIDE),
    y: centre((at) => Math.floor(at / IMAGE_SIDE)),
  };
}

const SEVEN = [line([0.1, 0.1], [0.4, 0.1], [0.2, 0.6])];

test("[DX1] a drawing is fitted into 20 x 20, its aspect kept, and its centre of mass put in the middle", () => {
  const seven = measure(prepareDigit(SEVEN)!);
  expect(seven.x).toBeCloseTo(14, 0);
  expect(seven.y).toBeCloseTo(14, 0);
  // A fading edge may touch one pixel more on each side.
  expect(seven.height).toBeGreaterThanOrEqual(20);
  expect(seven.height).toBeLessThanOrEqual(22);
  expect(seven.width / seven.height).toBeCloseTo(0.65, 1);
  const one = measure(prepareDigit([line([0.5, 0.1], [0.5, 0.9])])!);
  expect(one.height).toBeGreaterThanOrEqual(20);
  expect(one.width).toBeLessThanOrEqual(4);
});

test("[DX1] where and how large a digit was drawn makes no difference", () => {
  const reference = prepareDigit(SEVEN)!;
  const move = (by: Point, scale: number) =>
    SEVEN.map((stroke) => stroke.map(({ x, y }) => ({ x: by.x + scale * x, y: by.y + scale * y })));
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.double({ min: 0, max: 0.5, noNaN: true }),
      fc.double({ min: 0.3, max: 1, noNaN: true }),
      (x, y, scale) => {
        const image = prepareDigit(move({ x, y }, scale))!;
        // Rounding of a grey value apart.
        expect(Math.max(...image.map((ink, i) => Math.abs(ink - reference[i]!)))).toBeLessThan(3);
      },
    ),
    { numRuns: 40 },
  );
});

test("[DX1] whatever is drawn is 784 bytes with ink in them, and nothing drawn is nothing", () => {
  expect(prepareDigit([])).toBeUndefined();
  expect(prepareDigit([[]])).toBeUndefined();
  const dot = prepareDigit([line([0.9, 0.1])])!;
  expect(measure(dot)).toMatchObject({ width: 4, height: 4, x: 14, y: 14 });
  const point = fc.record({
    x: fc.double({ min: -1, max: 2, noNaN: true }),
    y: fc.double({ min: -1, max: 2, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(point, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      (strokes) => {
        const image = prepareDigit(strokes)!;
        expect(image).toHaveLength(784);
        expect(Math.max(...image)).toBeGreaterThan(100);
      },
    ),
  );
});
