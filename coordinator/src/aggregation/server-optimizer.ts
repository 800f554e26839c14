/**
 * How the coordinator applies the mean delta: SGD (FedAvg), momentum (FedAvgM), and the adaptive
 * optimizers of Reddi et al. 2020, "Adaptive Federated Optimization", Algorithm 2:
 *
 *     m <- beta1 m + (1 - beta1) d
 *     v <- v + d^2                              Adagrad
 *     v <- v - (1 - beta2) d^2 sign(v - d^2)    Yogi
 *     v <- beta2 v + (1 - beta2) d^2            Adam
 *     w <- w + learningRate m / (sqrt(v) + tau)
 *
 * d is the mean of (trained - received), so the step is added. v starts at tau^2; no bias correction.
 */

import type { ServerOptimizerSpec } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { Slices } from "./slices.ts";
import { atOnce, slicesOf } from "./slices.ts";

export interface ServerOptimizer {
  /**
   * One step from `weights` along `meanDelta`; a new vector, rounded to float32.
   * @throws RangeError when a vector has another length; weights and state are as they were then
   */
  step(weights: Float32Array, meanDelta: Float64Array): Float32Array;
  /**
   * The same in slices; between them the state is of neither step.
   * @param into where the new vector may lie
   */
  stepSlices(
    weights: Float32Array,
    meanDelta: Float64Array,
    into?: Float32Array,
  ): Slices<Float32Array>;
  /** The vectors to go on from: none, [m] or [m, v]. */
  state(): readonly Float64Array[];
}

const vectorsOf = (kind: ServerOptimizerSpec["kind"]): number =>
  kind === "sgd" ? 0 : kind === "momentum" ? 1 : 2;

/** @param state what `state()` gave before; used and changed in place. Absent: a fresh start */
export function createServerOptimizer(
  spec: ServerOptimizerSpec,
  parameterCount: number,
  state?: readonly Float64Array[],
): ServerOptimizer {
  const vectors = state ?? freshState(spec, parameterCount);
  assertState(vectors, vectorsOf(spec.kind), parameterCount);
  const [m, v] = vectors;
  const stepIn = stepFunction(spec, m, v);
  function* stepSlices(
    weights: Float32Array,
    meanDelta: Float64Array,
    next = new Float32Array(parameterCount),
  ): Slices<Float32Array> {
    const lengths = [weights, meanDelta, next].map(({ length }) => length);
    if (lengths.some((length) => length !== parameterCount)) {
      throw new RangeError(
        `a step over ${parameterCount} parameters got ${weights.length} weights, ` +
          `a mean delta of ${meanDelta.length} and room for ${next.length}`,
      );
    }
    yield* slicesOf(next.length, (start, end) => {
      stepIn(next, { weights, meanDelta, start, end });
    });
    return next;
  }
  return {
    step: (weights, meanDelta) => atOnce(stepSlices(weights, meanDelta)),
    stepSlices,
    state: () => vectors,
  };
}

function freshState(spec: ServerOptimizerSpec, parameterCount: number): Float64Array[] {
  if (spec.kind === "sgd") return [];
  const m = new Float64Array(parameterCount);
  if (spec.kind === "momentum") return [m];
  return [m, new Float64Array(parameterCount).fill(spec.tau * spec.tau)];
}

function assertState(vectors: readonly Float64Array[], count: number, length: number): void {
  if (vectors.length === count && vectors.every((vector) => vector.length === length)) return;
  throw new RangeError(
    `the optimizer needs ${count} state vectors of ${length} elements, ` +
      `got lengths [${vectors.map((vector) => vector.length).join(", ")}]`,
  );
}

interface Stretch {
  readonly weights: Float32Array;
  readonly meanDelta: Float64Array;
  readonly start: number;
  readonly end: number;
}

/** Puts the weights after a step into a stretch of `next`, and updates the moments there; a loop of its own for each kind. */
function stepFunction(
  spec: ServerOptimizerSpec,
  m: Float64Array = new Float64Array(0),
  v: Float64Array = new Float64Array(0),
): (next: Float32Array, stretch: Stretch) => void {
  const { learningRate } = spec;
  switch (spec.kind) {
    case "sgd":
      return (next, { weights, meanDelta, start, end }) => {
        for (let i = start; i < end; i++) {
          next[i] = (weights[i] as number) + learningRate * (meanDelta[i] as number);
        }
      };
    case "momentum":
      return (next, { weights, meanDelta, start, end }) => {
        for (let i = start; i < end; i++) {
          m[i] = spec.momentum * (m[i] as number) + (meanDelta[i] as number);
          next[i] = (weights[i] as number) + learningRate * (m[i] as number);
        }
      };
    case "adagrad":
    case "adam":
    case "yogi": {
      const { beta1, tau } = spec;
      const update = secondMoments(spec, v);
      return (next, { weights, meanDelta, start, end }) => {
        update(meanDelta, start, end);
        for (let i = start; i < end; i++) {
          const first = beta1 * (m[i] as number) + (1 - beta1) * (meanDelta[i] as number);
          m[i] = first;
          next[i] =
            (weights[i] as number) + (learningRate * first) / (Math.sqrt(v[i] as number) + tau);
        }
      };
    }
  }
}

function secondMoments(
  spec: Extract<ServerOptimizerSpec, { tau: number }>,
  v: Float64Array,
): (meanDelta: Float64Array, start: number, end: number) => void {
  switch (spec.kind) {
    case "adagrad":
      return (meanDelta, start, end) => {
        for (let i = start; i < end; i++) {
          const d = meanDelta[i] as number;
          v[i] = (v[i] as number) + d * d;
        }
      };
    case "adam": {
      const { beta2 } = spec;
      return (meanDelta, start, end) => {
        for (let i = start; i < end; i++) {
          const d = meanDelta[i] as number;
          v[i] = beta2 * (v[i] as number) + (1 - beta2) * (d * d);
        }
      };
    }
    case "yogi": {
      const { beta2 } = spec;
      return (meanDelta, start, end) => {
        for (let i = start; i < end; i++) {
          const d = meanDelta[i] as number;
          const squared = d * d;
          const before = v[i] as number;
          v[i] = before - (1 - beta2) * squared * Math.sign(before - squared);
        }
      };
    }
  }
}

// ---------------------------------------------------------------------- state as bytes

const MAGIC = 0x4f435254; // "TRCO"
const HEADER_BYTES = 16;
const KINDS = ["sgd", "momentum", "adagrad", "adam", "yogi"] as const;

/**
 * magic u32, kind u8, vectors u8, 0 u16, parameters u32, 0 u32, then the vectors as little-endian float64.
 * @param state vectors of one length, as `state()` gives them
 */
export const encodeOptimizerState = (
  kind: ServerOptimizerSpec["kind"],
  state: readonly Float64Array[],
): Uint8Array => atOnce(optimizerStateSlices(kind, state));

/** The same in slices. */
export function* optimizerStateSlices(
  kind: ServerOptimizerSpec["kind"],
  state: readonly Float64Array[],
): Slices<Uint8Array> {
  const parameterCount = state[0]?.length ?? 0;
  assertState(state, vectorsOf(kind), parameterCount);
  const bytes = new Uint8Array(HEADER_BYTES + 8 * parameterCount * state.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, KINDS.indexOf(kind));
  view.setUint8(5, state.length);
  view.setUint32(8, parameterCount, true);
  for (const [k, vector] of state.entries()) {
    const at = HEADER_BYTES + 8 * k * parameterCount;
    if (k > 0) yield;
    yield* slicesOf(parameterCount, (start, end) => {
      for (let i = start; i < end; i++) view.setFloat64(at + 8 * i, vector[i] as number, true);
    });
  }
  return bytes;
}

/** @throws FederatedError CHECKPOINT_CORRUPT when the bytes are not the state of this optimizer and model */
export function decodeOptimizerState(
  bytes: Uint8Array,
  kind: ServerOptimizerSpec["kind"],
  parameterCount: number,
): Float64Array[] {
  const count = vectorsOf(kind);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) {
    throw corrupt(`its ${bytes.length} bytes do not begin like an optimizer's state`);
  }
  const stored = KINDS[view.getUint8(4)] ?? "unknown";
  if (stored !== kind) throw corrupt(`it is of "${stored}", the task uses "${kind}"`);
  const parameters = view.getUint32(8, true);
  const expected = count === 0 ? 0 : parameterCount;
  if (parameters !== expected) {
    throw corrupt(`it has ${parameters} parameters, the model ${expected}`);
  }
  const size = HEADER_BYTES + 8 * expected * count;
  if (view.getUint8(5) !== count || bytes.length !== size) {
    throw corrupt(
      `it has ${view.getUint8(5)} vectors in ${bytes.length} bytes, ` +
        `"${kind}" needs ${count} in ${size}`,
    );
  }
  let at = HEADER_BYTES;
  return Array.from({ length: count }, () => {
    const vector = new Float64Array(parameterCount);
    for (let i = 0; i < vector.length; i++, at += 8) vector[i] = view.getFloat64(at, true);
    return vector;
  });
}

const corrupt = (why: string) =>
  new FederatedError(
    "CHECKPOINT_CORRUPT",
    `the stored optimizer state does not fit: ${why}; restore it, or start a new task`,
  );
