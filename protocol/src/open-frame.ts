/** A frame that is being written: header and metrics. `codec.ts` has the picture. */

import { digestToBytes } from "./digest.ts";
import { FederatedError } from "./errors.ts";
import type { FrameKind, UpdateMetrics } from "./frame.ts";
import { FRAME_HEADER_BYTES, FRAME_VERSION, MAGIC, MAX_METRICS_BYTES } from "./frame.ts";
import type { Layout } from "./layout.ts";

/** A frame that wants its payload: its bytes, and where the payload begins. */
export function openFrame(
  kind: FrameKind,
  layout: Layout,
  count: number,
  { format, payloadBytes, metrics }: FrameParts,
): { readonly frame: Uint8Array<ArrayBuffer>; readonly payloadAt: number } {
  if (!Number.isInteger(count) || count < 0 || count > 0xffffffff) {
    throw new FederatedError("MALFORMED_MESSAGE", `${count} is not an unsigned 32-bit integer`);
  }
  const payloadAt = FRAME_HEADER_BYTES + metrics.length;
  const frame = new Uint8Array(payloadAt + payloadBytes);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC[kind], true);
  view.setUint8(4, FRAME_VERSION);
  const [kindByte, valuesByte] = format;
  view.setUint8(5, kindByte);
  view.setUint8(6, valuesByte);
  view.setUint32(8, layout.parameterCount, true);
  view.setUint32(12, count, true);
  frame.set(digestToBytes(layout.digest), 16);
  view.setUint32(48, metrics.length, true);
  view.setUint32(52, payloadBytes, true);
  frame.set(metrics, FRAME_HEADER_BYTES);
  return { frame, payloadAt };
}

export interface FrameParts {
  /** Its two bytes. */
  readonly format: readonly [kind: number, values: number];
  readonly payloadBytes: number;
  readonly metrics: Uint8Array;
}

/** The metrics as JSON, padded. @throws FederatedError UPDATE_TOO_LARGE */
export function metricsBytesOf(metrics: UpdateMetrics): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(metrics));
  const bytes = new Uint8Array(4 * Math.ceil(json.length / 4)).fill(0x20);
  bytes.set(json);
  if (bytes.length > MAX_METRICS_BYTES) {
    throw new FederatedError(
      "UPDATE_TOO_LARGE",
      `metrics of ${bytes.length} bytes, at most ${MAX_METRICS_BYTES} are allowed`,
    );
  }
  return bytes;
}
