/**
 * Binary frames of checkpoint and update. All numbers little-endian.
 *
 *     offset  bytes  checkpoint             update
 *     0       4      "TRCP"                 "TRUP"
 *     4       1      format version, 1
 *     5       1      encoding: 1 float32, 2 bfloat16, 3 int8, 4 int4, 5 topK, 6 randomK; of a checkpoint 1
 *     6       1      encoding of the values of topK and randomK, 1 to 4; else 0
 *     7       1      reserved, 0
 *     8       4      u32 parameter count
 *     12      4      u32 model version      u32 number of examples
 *     16      32     layout digest, SHA-256
 *     48      4      u32 0                  u32 bytes of the metrics (JSON, UTF-8)
 *     52      4      u32 bytes of the payload
 *     56      8      reserved, 0
 *     64      n      metrics, padded with spaces to a multiple of 4
 *     64 + n  …      payload: the flat vector in layout order, as `encoding/format.ts` has it
 */

import { digestFromBytes } from "./digest.ts";
import type { PayloadFormat } from "./encoding/format.ts";
import {
  formatName,
  formatOfBytes,
  isPossibleSize,
  isSameFormat,
  maxPayloadBytes,
} from "./encoding/format.ts";
import { decodePayload } from "./encoding/payload.ts";
import { FederatedError } from "./errors.ts";
import type { EvaluationSums } from "./evaluation.ts";
import type { FrameKind, UpdateMetrics } from "./frame.ts";
import { FRAME_HEADER_BYTES, FRAME_VERSION, MAGIC, MAX_METRICS_BYTES } from "./frame.ts";
import type { Digest } from "./ids.ts";
import type { Layout } from "./layout.ts";
import type { Encoding } from "./plan.ts";

export { FRAME_HEADER_BYTES, FRAME_VERSION, MAX_METRICS_BYTES } from "./frame.ts";
export type { FrameKind, UpdateMetrics } from "./frame.ts";

const FLOAT32 = { kind: "float32" } as const;

export interface FrameHeader {
  readonly kind: FrameKind;
  readonly format: PayloadFormat;
  readonly parameterCount: number;
  /** Model version of a checkpoint, number of examples of an update. */
  readonly count: number;
  readonly layoutDigest: Digest;
  readonly metricsBytes: number;
  readonly payloadBytes: number;
}

export interface Checkpoint {
  readonly modelVersion: number;
  readonly weights: Float32Array;
}

export interface Update {
  /** trained - received. */
  readonly delta: Float32Array;
  readonly numExamples: number;
  readonly metrics: UpdateMetrics;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Largest frame of an encoding that a layout allows: what a server need accept and not a byte more. */
export const maxFrameBytes = (
  { parameterCount }: Pick<Layout, "parameterCount">,
  encoding: Encoding = FLOAT32,
): number => FRAME_HEADER_BYTES + MAX_METRICS_BYTES + maxPayloadBytes(encoding, parameterCount);

/** Little-endian float32 bytes -> a vector of its own memory. `bytes.length` must divide by 4. */
export function float32FromBytes(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(bytes.length / 4);
  if (LITTLE_ENDIAN) {
    new Uint8Array(vector.buffer).set(bytes);
    return vector;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < vector.length; i++) vector[i] = view.getFloat32(4 * i, true);
  return vector;
}

/**
 * Reads and checks the first {@link FRAME_HEADER_BYTES} bytes.
 * @throws FederatedError MALFORMED_MESSAGE for anything that is not a frame of this kind and version,
 * UPDATE_TOO_LARGE for metrics over their limit
 */
export const decodeFrameHeader = (bytes: Uint8Array, kind: FrameKind): FrameHeader =>
  readHeader(bytes, kind, kind === "checkpoint" ? float32Of : formatOf);

/** What the header says of the payload, held against its size. @throws FederatedError MALFORMED_MESSAGE */
type ReadFormat = (view: DataView, parameterCount: number, payloadBytes: number) => PayloadFormat;

/** Apart from {@link formatOf}: who reads checkpoints alone need not know the other formats. */
const float32Of: ReadFormat = (view, parameterCount, payloadBytes) => {
  if (view.getUint16(5, true) !== 1) {
    throw malformed("a checkpoint is float32, this one has another encoding");
  }
  if (payloadBytes === 4 * parameterCount) return FLOAT32;
  throw malformed(`${payloadBytes} payload bytes do not hold ${parameterCount} float32`);
};

const formatOf: ReadFormat = (view, parameterCount, payloadBytes) => {
  const format = formatOfBytes(view.getUint8(5), view.getUint8(6));
  if (format === undefined) {
    throw malformed(`unknown encoding ${view.getUint8(5)} of ${view.getUint8(6)}`);
  }
  if (isPossibleSize(format, parameterCount, payloadBytes)) return format;
  throw malformed(
    `${payloadBytes} payload bytes do not hold ${parameterCount} parameters as ${formatName(format)}`,
  );
};

function readHeader(bytes: Uint8Array, kind: FrameKind, readFormat: ReadFormat): FrameHeader {
  if (bytes.length < FRAME_HEADER_BYTES) {
    throw malformed(`a frame has at least ${FRAME_HEADER_BYTES} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC[kind]) throw malformed(`not a ${kind} frame`);
  const version = view.getUint8(4);
  if (version !== FRAME_VERSION) {
    throw malformed(`frame version ${version}, this end reads version ${FRAME_VERSION}`);
  }
  const reserved = view.getUint8(7) | view.getUint32(56, true) | view.getUint32(60, true);
  if (reserved !== 0) throw malformed("reserved bytes of the header are not zero");
  const parameterCount = view.getUint32(8, true);
  const metricsBytes = view.getUint32(48, true);
  const payloadBytes = view.getUint32(52, true);
  if (metricsBytes > MAX_METRICS_BYTES) {
    throw new FederatedError(
      "UPDATE_TOO_LARGE",
      `metrics of ${metricsBytes} bytes, at most ${MAX_METRICS_BYTES} are allowed`,
    );
  }
  if (metricsBytes % 4 !== 0 || (kind === "checkpoint" && metricsBytes !== 0)) {
    throw malformed(`metrics of ${metricsBytes} bytes do not fit a ${kind} frame`);
  }
  return {
    kind,
    format: readFormat(view, parameterCount, payloadBytes),
    parameterCount,
    count: view.getUint32(12, true),
    layoutDigest: digestFromBytes(bytes.subarray(16, 48)),
    metricsBytes,
    payloadBytes,
  };
}

/** @throws FederatedError UPDATE_LAYOUT_MISMATCH when the frame was made for another layout */
export function assertLayout(header: FrameHeader, layout: Layout): void {
  if (header.parameterCount !== layout.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the frame has ${header.parameterCount} parameters, the model ${layout.parameterCount}`,
    );
  }
  if (header.layoutDigest !== layout.digest) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the frame's layout digest is ${header.layoutDigest}, the model's ${layout.digest}`,
    );
  }
}

/** @throws FederatedError UPDATE_ENCODING_MISMATCH when the plan asks for another encoding */
export function assertEncoding(header: FrameHeader, encoding: Encoding): void {
  if (isSameFormat(header.format, encoding)) return;
  throw new FederatedError(
    "UPDATE_ENCODING_MISMATCH",
    `the update is encoded as ${formatName(header.format)}, the plan asks for ${formatName(encoding)}`,
  );
}

/**
 * Parses the metrics of an update. Only known fields, only finite numbers; counts must be whole.
 * @throws FederatedError MALFORMED_MESSAGE
 */
export function decodeMetrics(bytes: Uint8Array): UpdateMetrics {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw malformed("the metrics of the update are not JSON");
  }
  if (!isPlainObject(value)) throw malformed("the metrics of the update must be an object");
  refuseUnknownKeys(value, ["trainLoss", "evaluation"]);
  const { trainLoss, evaluation } = value;
  if (trainLoss !== undefined && !isFiniteNumber(trainLoss)) {
    throw malformed("metrics.trainLoss must be a finite number");
  }
  return {
    ...(trainLoss === undefined ? {} : { trainLoss }),
    ...(evaluation === undefined ? {} : { evaluation: decodeEvaluationSums(evaluation) }),
  };
}

function decodeEvaluationSums(value: unknown): EvaluationSums {
  if (!isPlainObject(value)) throw malformed("metrics.evaluation must be an object");
  const names = ["truePositives", "falsePositives", "falseNegatives"] as const;
  refuseUnknownKeys(value, ["numExamples", "lossSum", ...names]);
  const { numExamples, lossSum } = value;
  if (!isCount(numExamples) || numExamples < 1) {
    throw malformed("metrics.evaluation.numExamples must be a positive integer");
  }
  if (!isFiniteNumber(lossSum)) throw malformed("metrics.evaluation.lossSum must be finite");
  const [truePositives, falsePositives, falseNegatives] = names.map((name) => {
    const counts = value[name];
    if (!Array.isArray(counts) || !counts.every(isCount)) {
      throw malformed(`metrics.evaluation.${name} must be an array of counts`);
    }
    return counts;
  }) as [number[], number[], number[]];
  if (
    falsePositives.length !== truePositives.length ||
    falseNegatives.length !== truePositives.length
  ) {
    throw malformed("metrics.evaluation has counts for different numbers of classes");
  }
  const total = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);
  const classified = total(truePositives) + total(falseNegatives);
  if (truePositives.length > 0 && classified !== numExamples) {
    throw malformed(`metrics.evaluation counts ${classified} examples of ${numExamples}`);
  }
  // Every miss is a false negative of one class and a false positive of another.
  if (total(falsePositives) !== total(falseNegatives)) {
    throw malformed(
      `metrics.evaluation counts ${total(falsePositives)} false positives and ` +
        `${total(falseNegatives)} false negatives; every miss is one of each`,
    );
  }
  return { numExamples, lossSum, truePositives, falsePositives, falseNegatives };
}

/**
 * Decodes a whole update frame, whatever its encoding. Numbers of a float32 frame may be any: NaN passes.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_TOO_LARGE, UPDATE_LAYOUT_MISMATCH; UPDATE_NOT_FINITE
 */
export function decodeUpdate(layout: Layout, frame: Uint8Array): Update {
  const header = decodeFrameHeader(frame, "update");
  assertLayout(header, layout);
  assertLength(frame, header);
  const payloadAt = FRAME_HEADER_BYTES + header.metricsBytes;
  return {
    delta: vectorOf(header.format, layout.parameterCount, frame.subarray(payloadAt)),
    numExamples: header.count,
    metrics: decodeMetrics(frame.subarray(FRAME_HEADER_BYTES, payloadAt)),
  };
}

/** As it is where it is float32: what its numbers are is another's question. */
const vectorOf = (format: PayloadFormat, parameterCount: number, payload: Uint8Array) =>
  format.kind === "float32"
    ? float32FromBytes(payload)
    : decodePayload(format, parameterCount, payload);

/**
 * Decodes a whole checkpoint frame.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_LAYOUT_MISMATCH
 */
export function decodeCheckpoint(layout: Layout, frame: Uint8Array): Checkpoint {
  const header = readHeader(frame, "checkpoint", float32Of);
  assertLayout(header, layout);
  assertLength(frame, header);
  return {
    modelVersion: header.count,
    weights: float32FromBytes(frame.subarray(FRAME_HEADER_BYTES)),
  };
}

function assertLength(frame: Uint8Array, header: FrameHeader): void {
  const expected = FRAME_HEADER_BYTES + header.metricsBytes + header.payloadBytes;
  if (frame.length !== expected) {
    throw malformed(`the header announces ${expected} bytes, the frame has ${frame.length}`);
  }
}

const malformed = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value);
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function refuseUnknownKeys(value: Record<string, unknown>, known: readonly string[]): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw malformed(`unknown field "${unknown.slice(0, 40)}" in metrics`);
}
