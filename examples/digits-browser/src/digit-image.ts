/**
 * A drawing as MNIST's makers would have it: fitted into a box of 20 x 20, its aspect kept, and put into 28 x 28
 * so that its centre of mass is in the middle (LeCun et al. 1998). Strokes are lines until the last moment, so
 * their width is the pen's whatever the size they were drawn in, and no image is ever scaled.
 */

import { IMAGE_PIXELS, IMAGE_SIDE } from "./model.ts";

/** In units of the pad: 0 is its left or upper edge, 1 the opposite one. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** What the pen did between touching the paper and leaving it: at least one point. */
export type Stroke = readonly Point[];

/** Longer side of the box that a digit is fitted into, pen included. */
const BOX = 20;
/** MNIST's strokes are two to three pixels wide. */
const PEN_RADIUS = 1.15;
/** A stroke's edge fades over so many pixels. */
const EDGE = 1;
/** A dot stays a dot: what is drawn small is made larger, up to so many times. */
const LARGEST_SCALE = 8 * BOX;

/** @returns 784 bytes, row by row, 0 is paper and 255 ink; undefined where nothing is drawn */
export function prepareDigit(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> | undefined {
  const points = strokes.flat();
  if (points.length === 0) return undefined;
  const { centre, size } = boundsOf(points);
  const room = BOX - 2 * PEN_RADIUS;
  const scale = size === 0 ? 1 : Math.min(room / size, LARGEST_SCALE);
  const middle = IMAGE_SIDE / 2;
  const fitted = strokes.map((stroke) =>
    stroke.map(({ x, y }) => ({
      x: middle + (x - centre.x) * scale,
      y: middle + (y - centre.y) * scale,
    })),
  );
  const mass = centreOfMass(drawStrokes(fitted));
  return drawStrokes(
    fitted.map((stroke) =>
      stroke.map(({ x, y }) => ({ x: x + middle - mass.x, y: y + middle - mass.y })),
    ),
  );
}

function boundsOf(points: readonly Point[]): { readonly centre: Point; readonly size: number } {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y } of points) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return {
    centre: { x: (left + right) / 2, y: (top + bottom) / 2 },
    size: Math.max(right - left, bottom - top),
  };
}

/** In pixels; the middle of the upper left pixel is at (0.5, 0.5). */
function centreOfMass(image: Uint8Array): Point {
  let [mass, x, y] = [0, 0, 0];
  image.forEach((ink, at) => {
    mass += ink;
    x += ink * ((at % IMAGE_SIDE) + 0.5);
    y += ink * (Math.floor(at / IMAGE_SIDE) + 0.5);
  });
  return { x: x / mass, y: y / mass };
}

/** Each pixel is as dark as the stroke nearest to its middle makes it. */
function drawStrokes(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(IMAGE_PIXELS);
  const reach = PEN_RADIUS + EDGE / 2;
  for (const stroke of strokes) {
    stroke.forEach((to, i) => {
      const from = stroke[i - 1] ?? to;
      const [firstX, lastX] = pixelsNear(from.x, to.x, reach);
      const [firstY, lastY] = pixelsNear(from.y, to.y, reach);
      for (let row = firstY; row <= lastY; row++) {
        for (let column = firstX; column <= lastX; column++) {
          const distance = distanceToSegment({ x: column + 0.5, y: row + 0.5 }, from, to);
          const ink = Math.round(255 * Math.min(1, Math.max(0, (reach - distance) / EDGE)));
          const at = row * IMAGE_SIDE + column;
          image[at] = Math.max(image[at] as number, ink);
        }
      }
    });
  }
  return image;
}

/** First and last pixel of an axis that a segment from `a` to `b` can reach. */
function pixelsNear(a: number, b: number, reach: number): readonly [number, number] {
  const first = Math.floor(Math.min(a, b) - reach);
  const last = Math.floor(Math.max(a, b) + reach);
  return [Math.max(0, first), Math.min(IMAGE_SIDE - 1, last)];
}

function distanceToSegment(point: Point, from: Point, to: Point): number {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((point.x - from.x) * dx + (point.y - from.y) * dy) / length;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(point.x - from.x - t * dx, point.y - from.y - t * dy);
}
