/** Checkpoints, and updates in float32, as frames. Apart from `codec.ts`: who reads a model need not write one. */

import type { Checkpoint, Update } from "./codec.ts";
import { FederatedError } from "./errors.ts";
import type { FrameKind } from "./frame.ts";
import type { Layout } from "./layout.ts";
import type { FrameParts } from "./open-frame.ts";
import { metricsBytesOf, openFrame } from "./open-frame.ts";

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A model version as bytes. The same input gives the same bytes, and so the same digest. */
export function encodeCheckpoint(layout: Layout, checkpoint: Checkpoint): Uint8Array<ArrayBuffer> {
  const empty = new Uint8Array(0);
  return float32Frame("checkpoint", layout, checkpoint.modelVersion, checkpoint.weights, empty);
}

/**
 * The same, to be written in place: `weights` are zeros that lie in the frame.
 * @returns undefined where the machine's numbers are not those of frames
 */
export function blankCheckpoint(
  layout: Layout,
  modelVersion: number,
): { readonly frame: Uint8Array<ArrayBuffer>; readonly weights: Float32Array } | undefined {
  if (!LITTLE_ENDIAN) return undefined;
  const { parameterCount } = layout;
  const parts = partsOf(parameterCount, new Uint8Array(0));
  const { frame, payloadAt } = openFrame("checkpoint", layout, modelVersion, parts);
  return { frame, weights: new Float32Array(frame.buffer, payloadAt, parameterCount) };
}

/** An update as bytes, in float32. */
export const encodeUpdate = (layout: Layout, update: Update): Uint8Array<ArrayBuffer> =>
  float32Frame("update", layout, update.numExamples, update.delta, metricsBytesOf(update.metrics));

function float32Frame(
  kind: FrameKind,
  layout: Layout,
  count: number,
  vector: Float32Array,
  metrics: Uint8Array,
): Uint8Array<ArrayBuffer> {
  if (vector.length !== layout.parameterCount) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the vector has ${vector.length} elements, the layout ${layout.parameterCount}`,
    );
  }
  const { frame, payloadAt } = openFrame(kind, layout, count, partsOf(vector.length, metrics));
  writeFloat32(frame, payloadAt, vector);
  return frame;
}

const partsOf = (values: number, metrics: Uint8Array): FrameParts => ({
  format: [1, 0],
  payloadBytes: 4 * values,
  metrics,
});

function writeFloat32(target: Uint8Array, offset: number, vector: Float32Array): void {
  if (LITTLE_ENDIAN) {
    target.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), offset);
    return;
  }
  const view = new DataView(target.buffer, target.byteOffset);
  for (let i = 0; i < vector.length; i++)
    view.setFloat32(offset + 4 * i, vector[i] as number, true);
}
