/**
 * Parameters of a buffered linear Toeplitz matrix with little noise for a run: the smallest sens^2 * largest error.
 * BFGS (Nocedal and Wright 2006, algorithm 6.1) in log scales and logit decays, from two starts for each number of
 * buffers. Nothing is drawn at random and nothing is timed: the same run always gets the same matrix.
 */

import type { BltParameters } from "./blt.ts";
import { bltLogLoss } from "./blt.ts";
import type { ParticipationLimits } from "./toeplitz.ts";

export interface BltTarget extends ParticipationLimits {
  /** n: steps of the run. */
  readonly rounds: number;
}

/** A buffer costs memory of the model's size; a fifth never gained 0.1 % up to 10 000 rounds. */
export const MOST_BUFFERS = 4;
/** What another buffer must take off the logarithm of the loss: a tenth of a percent of the noise. */
const GAIN_OF_A_BUFFER = 0.002;
/** Multiply-adds from one start, of which there are seven: half a second in all, for the longest of runs. */
const WORK = 2e7;
const LEAST_EVALUATIONS = 100;
const MOST_ITERATIONS = 200;

/** @throws RangeError for a target that is no positive whole numbers */
export function optimizeBlt(target: BltTarget): BltParameters {
  const { rounds, minSeparation, maxParticipations } = target;
  for (const [name, value] of Object.entries({ rounds, minSeparation, maxParticipations })) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`${name} must be a whole number >= 1, got ${value}`);
    }
  }
  let chosen: Found | undefined;
  let before: Found | undefined;
  for (let buffers = 1; buffers <= MOST_BUFFERS; buffers++) {
    const starts = [spreadStart(target, buffers), ...slowerStarts(before)];
    const found = starts
      .map((start) => minimum(target, start))
      .reduce((a, b) => (b.loss < a.loss ? b : a));
    if (chosen === undefined || found.loss < chosen.loss - GAIN_OF_A_BUFFER) chosen = found;
    before = found;
  }
  if (chosen === undefined || !Number.isFinite(chosen.loss)) {
    throw new RangeError("no matrix was found for this run");
  }
  return parametersAt(chosen.point);
}

interface Found {
  readonly point: Float64Array;
  readonly loss: number;
}

function minimum(target: BltTarget, start: Float64Array): Found {
  const loss = (point: Float64Array) => bltLogLoss(parametersAt(point), target.rounds, target);
  const evaluations = Math.max(LEAST_EVALUATIONS, WORK / (target.rounds * start.length));
  const point = minimize(loss, start, evaluations);
  return { point, loss: loss(point) };
}

/** Decays first, then scales; decays descend, so that equal matrices are written alike. */
function parametersAt(point: Float64Array): BltParameters {
  const buffers = point.length / 2;
  const pairs = Array.from({ length: buffers }, (_, j) => ({
    decay: 1 / (1 + Math.exp(-(point[j] as number))),
    scale: Math.exp(point[buffers + j] as number),
  })).sort((a, b) => b.decay - a.decay);
  return { decays: pairs.map(({ decay }) => decay), scales: pairs.map(({ scale }) => scale) };
}

/**
 * Time constants spread geometrically from a step to the whole stretch in which a client is seen once, with weights
 * that make the sum of the series fall like the square root's coefficients, 1 / sqrt(pi i).
 */
function spreadStart(
  { rounds, minSeparation, maxParticipations }: BltTarget,
  buffers: number,
): Float64Array {
  const stretch = maxParticipations === 1 ? rounds : Math.min(rounds, minSeparation);
  const point = new Float64Array(2 * buffers);
  const span = Math.log(Math.max(4, stretch));
  const weights: number[] = [];
  for (let j = 0; j < buffers; j++) {
    const rate = 0.6 * Math.exp((-span * j) / Math.max(1, buffers));
    point[j] = Math.log((1 - rate) / rate);
    weights.push(Math.sqrt(rate));
  }
  const sum = weights.reduce((total, weight) => total + weight, 0);
  // 1/2 is the first coefficient of the square root.
  for (const [j, weight] of weights.entries()) point[buffers + j] = Math.log((0.5 * weight) / sum);
  return point;
}

/** The best with one buffer less, and one more of which nothing can be seen within the run. */
function slowerStarts(before: Found | undefined): Float64Array[] {
  if (before === undefined) return [];
  const half = before.point.length / 2;
  const [logits, logs] = [before.point.subarray(0, half), before.point.subarray(half)];
  return [Float64Array.from([...logits, 8, ...logs, -4.5])];
}

type Objective = (point: Float64Array) => number;

/** BFGS with differences for the gradient, until it stands still or has had its evaluations. */
function minimize(objective: Objective, start: Float64Array, evaluations: number): Float64Array {
  let left = evaluations;
  const evaluate: Objective = (point) => {
    left -= 1;
    return objective(point);
  };
  const size = start.length;
  let point = start;
  let value = evaluate(point);
  let slope = gradient(evaluate, point);
  let inverse = identity(size);
  for (let i = 0; i < MOST_ITERATIONS && left > 0; i++) {
    let direction = timesNegative(inverse, slope);
    if (!(dot(direction, slope) < 0)) {
      inverse = identity(size);
      direction = timesNegative(inverse, slope);
    }
    const descent = dot(direction, slope);
    // No parameter moves by more than a factor of e^2 at once.
    let step = Math.min(1, 2 / Math.max(...direction.map(Math.abs)));
    let next = point;
    let nextValue = Infinity;
    for (; step > 1e-12; step /= 2) {
      next = point.map((x, j) => x + step * (direction[j] as number));
      nextValue = evaluate(next);
      if (nextValue <= value + 1e-4 * step * descent) break;
    }
    if (!(nextValue < value)) break;
    const nextSlope = gradient(evaluate, next);
    const moved = next.map((x, j) => x - (point[j] as number));
    const bent = nextSlope.map((x, j) => x - (slope[j] as number));
    const gained = value - nextValue;
    point = next;
    value = nextValue;
    slope = nextSlope;
    update(inverse, moved, bent);
    if (gained < 1e-9) break;
  }
  return point;
}

/** Central differences; at the edge of what is allowed, one-sided. */
function gradient(objective: Objective, point: Float64Array): Float64Array {
  const h = 1e-5;
  return point.map((x, j) => {
    const at = (shift: number) => {
      const other = point.slice();
      other[j] = x + shift;
      return objective(other);
    };
    const [above, below] = [at(h), at(-h)];
    if (Number.isFinite(above) && Number.isFinite(below)) return (above - below) / (2 * h);
    if (Number.isFinite(below)) return (objective(point) - below) / h;
    return Number.isFinite(above) ? (above - objective(point)) / h : 0;
  });
}

const dot = (a: Float64Array, b: Float64Array) =>
  a.reduce((sum, x, j) => sum + x * (b[j] as number), 0);

function identity(size: number): Float64Array[] {
  return Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size }, (_unused, j) => (i === j ? 1 : 0)),
  );
}

const timesNegative = (matrix: readonly Float64Array[], vector: Float64Array) =>
  Float64Array.from(matrix, (row) => -dot(row, vector));

/** The BFGS update of the inverse Hessian, in place; left out where the curvature is not positive. */
function update(inverse: Float64Array[], moved: Float64Array, bent: Float64Array): void {
  const curvature = dot(moved, bent);
  if (!(curvature > 1e-14)) return;
  const product = Float64Array.from(inverse, (row) => dot(row, bent));
  const factor = (1 + dot(bent, product) / curvature) / curvature;
  for (const [i, row] of inverse.entries()) {
    for (let j = 0; j < row.length; j++) {
      const [si, sj] = [moved[i] as number, moved[j] as number];
      const cross = (product[i] as number) * sj + si * (product[j] as number);
      row[j] = (row[j] as number) + factor * si * sj - cross / curvature;
    }
  }
}
