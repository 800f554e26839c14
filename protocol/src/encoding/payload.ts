/** A whole payload: a vector -> bytes in any encoding, and back with every check. The reference of both ends. */

import type { Encoding } from "../plan.ts";
import type { PayloadFormat } from "./format.ts";
import {
  formatName,
  isPossibleSize,
  keptValues,
  maxPayloadBytes,
  padded,
  SPARSE_HEADER_BYTES,
  valuesBytes,
} from "./format.ts";
import { gapsOf, largestIndices, readGaps, strata } from "./indices.ts";
import type { RandomBits } from "./rounding.ts";
import { malformed, readValues, writeValues } from "./values.ts";

/**
 * Encodes in slices of about a millisecond for a million parameters: step it with `next()` until it is done.
 * @throws FederatedError UPDATE_NOT_FINITE for numbers that are not finite, or too large for a scale
 */
export function* payloadSlices(
  encoding: Encoding,
  vector: Float32Array,
  random: RandomBits,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  if (!("fraction" in encoding)) {
    const payload = new Uint8Array(maxPayloadBytes(encoding, vector.length));
    yield* writeValues(encoding.kind, vector, new DataView(payload.buffer), 0, random);
    return payload;
  }
  const kept = keptValues(encoding.fraction, vector.length);
  const values = new Float32Array(kept);
  let gaps: Uint8Array = new Uint8Array(0);
  let second: number;
  if (encoding.kind === "topK") {
    const indices = yield* largestIndices(vector, kept);
    for (let i = 0; i < kept; i++) values[i] = vector[indices[i] as number] as number;
    gaps = gapsOf(indices);
    second = gaps.length;
  } else {
    const halves = new Uint16Array(2);
    random(halves);
    second = ((halves[0] as number) * 65_536 + (halves[1] as number)) >>> 0;
    yield* strata(second, kept, vector.length, (j, index, size) => {
      // One of `size` numbers stands for all of them, but where the others are remembered.
      values[j] = (vector[index] as number) * (encoding.feedback ? 1 : size);
    });
  }
  const valuesAt = SPARSE_HEADER_BYTES + padded(gaps.length);
  const payload = new Uint8Array(valuesAt + valuesBytes(encoding.values, kept));
  const view = new DataView(payload.buffer);
  view.setUint32(0, kept, true);
  view.setUint32(4, second, true);
  payload.set(gaps, SPARSE_HEADER_BYTES);
  yield* writeValues(encoding.values, values, view, valuesAt, random);
  return payload;
}

/** The same at once. */
export const encodePayload = (
  encoding: Encoding,
  vector: Float32Array,
  random: RandomBits,
): Uint8Array<ArrayBuffer> => finished(payloadSlices(encoding, vector, random));

/** Where the parts of a payload are. */
export interface PayloadSections {
  /** Numbers that it tells: k of a sparse format, all parameters of a dense one. */
  readonly count: number;
  /** Of "topK": bytes of the gaps without padding, after {@link SPARSE_HEADER_BYTES}. */
  readonly gapBytes: number;
  /** Of "randomK". */
  readonly seed: number;
  /** First byte of the values: their scales, where they have some. */
  readonly valuesAt: number;
}

/**
 * Finds the parts, in constant time. Given an encoding of a plan, its share is held to as well.
 * @throws FederatedError MALFORMED_MESSAGE for a payload whose parts are not as long as they must be
 */
export function payloadSections(
  format: PayloadFormat | Encoding,
  parameterCount: number,
  payload: Uint8Array,
): PayloadSections {
  const { length } = payload;
  if (!isPossibleSize(format, parameterCount, length)) {
    throw malformed(
      `${length} bytes do not hold ${parameterCount} parameters as ${formatName(format)}`,
    );
  }
  if (!("values" in format)) return { count: parameterCount, gapBytes: 0, seed: 0, valuesAt: 0 };
  const view = new DataView(payload.buffer, payload.byteOffset, length);
  const count = view.getUint32(0, true);
  const second = view.getUint32(4, true);
  if (count < 1 || count > parameterCount) {
    throw malformed(`${count} values of a model of ${parameterCount} parameters`);
  }
  if ("fraction" in format && count !== keptValues(format.fraction, parameterCount)) {
    throw malformed(
      `${count} values, the plan's share of ${format.fraction} is ${keptValues(format.fraction, parameterCount)}`,
    );
  }
  const gapBytes = format.kind === "topK" ? second : 0;
  const valuesAt = SPARSE_HEADER_BYTES + padded(gapBytes);
  if (length !== valuesAt + valuesBytes(format.values, count)) {
    throw malformed(`${length} bytes do not hold ${count} values as ${formatName(format)}`);
  }
  return { count, gapBytes, seed: format.kind === "topK" ? 0 : second, valuesAt };
}

/**
 * Calls `take` with every number that a payload tells, in ascending order of their indices. All of it is checked, but
 * as it goes: what has been taken counts only when this returns.
 * @throws FederatedError MALFORMED_MESSAGE for bytes that are no such payload, UPDATE_NOT_FINITE
 */
export function* decodingSlices(
  format: PayloadFormat | Encoding,
  parameterCount: number,
  payload: Uint8Array,
  take: (value: number, index: number) => void,
): Generator<undefined, void> {
  const { count, gapBytes, seed, valuesAt } = payloadSections(format, parameterCount, payload);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  if (!("values" in format)) {
    yield* readValues(format.kind, count, view, 0, take);
    return;
  }
  let indices: Uint32Array;
  if (format.kind === "topK") {
    indices = readGaps(view, SPARSE_HEADER_BYTES, [gapBytes, count, parameterCount]);
  } else {
    indices = new Uint32Array(count);
    yield* strata(seed, count, parameterCount, (j, index) => void (indices[j] = index));
  }
  yield* readValues(format.values, count, view, valuesAt, (value, j) =>
    take(value, indices[j] as number),
  );
}

/** The same at once. */
export const readPayload = (
  format: PayloadFormat | Encoding,
  parameterCount: number,
  payload: Uint8Array,
  take: (value: number, index: number) => void,
): void => finished(decodingSlices(format, parameterCount, payload, take));

/**
 * The vector that a payload means, zeros where it tells nothing.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_NOT_FINITE
 */
export function decodePayload(
  format: PayloadFormat | Encoding,
  parameterCount: number,
  payload: Uint8Array,
): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(parameterCount);
  readPayload(format, parameterCount, payload, (value, index) => void (vector[index] = value));
  return vector;
}

function finished<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
