/** Targets: everything that comes as bytes. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";

import {
  checksumOf,
  createLayout,
  decodeCheckpoint,
  decodeMetrics,
  decodeUpdate,
  encodeCheckpoint,
  encodePayload,
  encodeUpdate,
  keptValues,
  readPayload,
} from "@tributary/protocol";
import type { Encoding, Layout, Update } from "@tributary/protocol";
import fc from "fast-check";

import {
  decodeOptimizerState,
  encodeOptimizerState,
} from "../../coordinator/src/aggregation/server-optimizer.ts";
import { denseDelta, float32Of } from "../../coordinator/src/aggregation/encoded-delta.ts";
import { noSlots } from "../../coordinator/src/aggregation/update-slots.ts";
import { validateUpdate } from "../../coordinator/src/aggregation/validate-update.ts";
import { readUpdate } from "../../coordinator/src/http/read-update.ts";
import { parseIdx } from "../../examples/digits/src/data.ts";
import { damagedBytes, damagedText, spoiltJson } from "./damage.ts";
import type { FuzzTarget } from "./target.ts";
import { accept, acceptAsync, hold, target } from "./target.ts";

const evaluation = {
  numExamples: 5,
  lossSum: 2.5,
  truePositives: [2, 1],
  falsePositives: [1, 1],
  falseNegatives: [1, 1],
};

/** Sound frames of the layout, and some that are of another kind or layout, or not finite. */
async function soundFrames(layout: Layout) {
  const other = await createLayout([
    { name: "kernel", shape: [2, 3] },
    { name: "bias", shape: [1] },
  ]);
  const delta = new Float32Array(7).map((_, i) => i - 3.5);
  const updates = [
    encodeUpdate(layout, { delta, numExamples: 3, metrics: {} }),
    encodeUpdate(layout, { delta, numExamples: 1, metrics: { trainLoss: 0.25 } }),
    encodeUpdate(layout, { delta, numExamples: 9, metrics: { trainLoss: 1, evaluation } }),
    encodeUpdate(layout, { delta: delta.map(() => 0), numExamples: 0, metrics: {} }),
    encodeUpdate(layout, { delta: delta.with(3, Number.NaN), numExamples: 1, metrics: {} }),
    encodeUpdate(layout, { delta: delta.with(6, Infinity), numExamples: 1, metrics: {} }),
    encodeUpdate(other, { delta, numExamples: 3, metrics: {} }),
  ];
  const checkpoints = [
    encodeCheckpoint(layout, { modelVersion: 0, weights: delta }),
    encodeCheckpoint(layout, { modelVersion: 0xffffffff, weights: delta.map(() => Number.NaN) }),
    encodeCheckpoint(other, { modelVersion: 4, weights: delta }),
  ];
  return { updates, checkpoints };
}

/** Reads an accepted frame a second time, by the table in the protocol's documentation and nothing else. */
function holdUpdate(layout: Layout, bytes: Uint8Array, update: Update): void {
  const frame = Buffer.from(bytes);
  const metricsBytes = frame.readUInt32LE(48);
  hold(frame.toString("latin1", 0, 6) === "TRUP\u0001\u0001", "magic, version, encoding");
  hold(frame.readUInt16LE(6) === 0 && frame.readBigUInt64LE(56) === 0n, "reserved bytes");
  hold(frame.readUInt32LE(8) === layout.parameterCount, "parameter count");
  hold(frame.toString("hex", 16, 48) === layout.digest, "layout digest");
  hold(frame.readUInt32LE(52) === 4 * layout.parameterCount, "payload bytes");
  hold(frame.length === 64 + metricsBytes + 4 * layout.parameterCount, "length");
  hold(update.numExamples === frame.readUInt32LE(12), "examples");
  hold(update.delta.length === layout.parameterCount, "delta length");
  for (const [i, value] of update.delta.entries()) {
    hold(Object.is(value, frame.readFloatLE(64 + metricsBytes + 4 * i)), `delta ${i}`);
  }
  holdMetrics(frame.subarray(64, 64 + metricsBytes), update.metrics);
}

function holdMetrics(bytes: Uint8Array, metrics: Update["metrics"]): void {
  const plain = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
  hold(JSON.stringify(sorted(plain)) === JSON.stringify(sorted(metrics)), "metrics as written");
  const numbers = [metrics.trainLoss ?? 0, metrics.evaluation?.lossSum ?? 0];
  hold(numbers.every(Number.isFinite), "metrics are finite");
  if (metrics.evaluation === undefined) return;
  const { numExamples, truePositives, falsePositives, falseNegatives } = metrics.evaluation;
  const classes = truePositives.length;
  hold(falsePositives.length === classes && falseNegatives.length === classes, "classes");
  const counts = [...truePositives, ...falsePositives, ...falseNegatives, numExamples];
  hold(
    counts.every((count) => Number.isSafeInteger(count) && count >= 0),
    "counts",
  );
}

/** With keys in order, -0 as 0: JSON text that is equal for equal values. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}

/** The body of a PUT, cut where the network likes. */
function streamOf(bytes: Uint8Array, cut: number): PassThrough {
  const body = new PassThrough();
  const at = bytes.length === 0 ? 0 : cut % bytes.length;
  body.write(bytes.slice(0, at));
  body.end(bytes.slice(at));
  return body;
}

const VALUES = ["float32", "bfloat16", "int8", "int4"] as const;
const ENCODINGS: readonly Encoding[] = [
  ...VALUES.map((kind) => ({ kind })),
  ...VALUES.map((values) => ({ kind: "topK" as const, fraction: 0.5, values, feedback: true })),
  ...VALUES.map((values) => ({ kind: "randomK" as const, fraction: 0.3, values, feedback: true })),
];

const KINDS = ["sgd", "momentum", "adagrad", "adam", "yogi"] as const;

export async function frameTargets(): Promise<FuzzTarget[]> {
  const layout = await createLayout([
    { name: "kernel", shape: [3, 2] },
    { name: "bias", shape: [1] },
  ]);
  const { updates, checkpoints } = await soundFrames(layout);
  const frames = damagedBytes([...updates, ...updates, ...checkpoints]);
  const vector = new Float64Array(7).map((_, i) => i / 3);
  const states = KINDS.flatMap((kind) => [
    encodeOptimizerState(kind, [vector, vector].slice(0, Math.min(2, KINDS.indexOf(kind)))),
  ]);
  const idx = Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6);
  const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7, 8);

  const payloads = ENCODINGS.map((encoding) =>
    encodePayload(
      encoding,
      Float32Array.from(vector, (value) => value - 1),
      (bits) => bits.fill(9),
    ),
  );

  return [
    target(
      "update payload",
      fc.record({ bytes: damagedBytes(payloads), encoding: fc.constantFrom(...ENCODINGS) }),
      ({ bytes, encoding }) => {
        const told: [number, number][] = [];
        const read = accept(() =>
          readPayload(encoding, 7, bytes, (value, index) => told.push([value, index])),
        );
        if (read === undefined) return false;
        const indices = told.map(([, index]) => index);
        hold(
          indices.every((index, i) => index > (indices[i - 1] ?? -1) && index < 7),
          "each index once, in order",
        );
        hold(
          told.every(([value]) => Number.isFinite(value)),
          "finite numbers",
        );
        const count = "fraction" in encoding ? keptValues(encoding.fraction, 7) : 7;
        hold(told.length === count, "as many numbers as the plan has");
        return true;
      },
      { share: 4 },
    ),
    target(
      "update frame",
      frames,
      (bytes) => {
        const decoded = accept(() => decodeUpdate(layout, bytes));
        if (decoded === undefined) return false;
        holdUpdate(layout, bytes, decoded.value);
        const { delta, numExamples } = decoded.value;
        const counted = accept(() => validateUpdate(denseDelta(delta), numExamples, layout));
        const sound = delta.every(Number.isFinite) && numExamples > 0;
        hold(sound === (counted !== undefined), "counted exactly when finite and trained");
        return counted !== undefined;
      },
      { share: 6 },
    ),
    target(
      "update stream",
      fc.record({
        bytes: frames,
        cut: fc.nat(0xffff),
        announced: fc.boolean(),
        digest: fc.constantFrom("none", "right", "wrong", "wrongSha256"),
      }),
      async ({ bytes, cut, announced, digest }) => {
        const own = checksumOf(bytes);
        const sha256 = createHash("sha256").update(bytes).digest("hex") as Layout["digest"];
        const contentDigest = {
          none: {},
          right: { sha256, checksum: own },
          wrong: { checksum: "0".repeat(32) as typeof own },
          wrongSha256: { sha256: "0".repeat(64) as typeof sha256, checksum: own },
        }[digest];
        const received = await acceptAsync(() =>
          readUpdate(streamOf(bytes, cut), {
            layout,
            encoding: { kind: "float32" },
            maxBytes: 400,
            contentLength: announced ? bytes.length : undefined,
            contentDigest,
            slots: noSlots,
            signal: new AbortController().signal,
            onBytes: () => {},
          }),
        );
        const whole = accept(() => decodeUpdate(layout, bytes));
        const expected = whole !== undefined && bytes.length <= 400 && !digest.startsWith("wrong");
        hold(expected === (received !== undefined), "the stream takes what the decoder takes");
        if (received === undefined) return false;
        hold(received.value.checksum === own && received.value.bytes === bytes.length, "its sum");
        const { delta, ...rest } = received.value;
        holdUpdate(layout, bytes, { ...rest, delta: float32Of(delta) });
        return true;
      },
      { share: 1 },
    ),
    target(
      "checkpoint frame",
      damagedBytes([...checkpoints, ...checkpoints, ...updates]),
      (bytes) => {
        const decoded = accept(() => decodeCheckpoint(layout, bytes));
        if (decoded === undefined) return false;
        const again = encodeCheckpoint(layout, decoded.value);
        hold(Buffer.compare(again, bytes) === 0, "an accepted checkpoint is its own encoding");
        return true;
      },
      { share: 4 },
    ),
    target(
      "metrics",
      fc.oneof(
        spoiltJson([{}, { trainLoss: 1 }, { trainLoss: 1, evaluation }, { evaluation }]).map(
          (value) => Buffer.from(JSON.stringify(value)),
        ),
        damagedText([JSON.stringify({ trainLoss: 1e10, evaluation })]).map((text) =>
          Buffer.from(text),
        ),
      ),
      (bytes) => {
        const decoded = accept(() => decodeMetrics(bytes));
        if (decoded === undefined) return false;
        holdMetrics(bytes, decoded.value);
        return true;
      },
      { share: 4 },
    ),
    target(
      "optimizer state",
      fc.record({ bytes: damagedBytes(states), kind: fc.constantFrom(...KINDS) }),
      ({ bytes, kind }) => {
        const decoded = accept(() => decodeOptimizerState(bytes, kind, 7));
        if (decoded === undefined) return false;
        const again = decodeOptimizerState(encodeOptimizerState(kind, decoded.value), kind, 7);
        hold(
          again.every((one, i) => Buffer.compare(asBytes(one), asBytes(decoded.value[i]!)) === 0),
          "an accepted state is kept",
        );
        return true;
      },
      { share: 2 },
    ),
    target(
      "IDX file",
      damagedBytes([idx, labels]),
      (bytes) => {
        let array;
        try {
          array = parseIdx(bytes);
        } catch (error) {
          hold((error as Error).constructor === Error, `a plain refusal, got ${String(error)}`);
          return false;
        }
        const size = array.shape.reduce((product, dimension) => product * dimension, 1);
        hold(array.values.length === size, "as many values as its shape says");
        return true;
      },
      { share: 2 },
    ),
  ];
}

const asBytes = (vector: Float64Array) =>
  new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
