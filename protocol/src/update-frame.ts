/** Update frames of every encoding; `float32-frame.ts` makes those in float32. */

import type { PayloadFormat } from "./encoding/format.ts";
import { formatBytes, formatName, isPossibleSize } from "./encoding/format.ts";
import { FederatedError } from "./errors.ts";
import type { UpdateMetrics } from "./frame.ts";
import type { Layout } from "./layout.ts";
import { metricsBytesOf, openFrame } from "./open-frame.ts";

/** An update whose delta is a payload already. */
export interface EncodedUpdate {
  readonly numExamples: number;
  readonly metrics: UpdateMetrics;
  readonly format: PayloadFormat;
  readonly payload: Uint8Array;
}

/** An update as bytes, in the encoding of its payload. */
export function frameUpdate(layout: Layout, update: EncodedUpdate): Uint8Array<ArrayBuffer> {
  const { format, payload, numExamples, metrics } = update;
  if (!isPossibleSize(format, layout.parameterCount, payload.length)) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `a payload of ${payload.length} bytes does not hold ${layout.parameterCount} parameters as ${formatName(format)}`,
    );
  }
  const { frame, payloadAt } = openFrame("update", layout, numExamples, {
    format: formatBytes(format),
    payloadBytes: payload.length,
    metrics: metricsBytesOf(metrics),
  });
  frame.set(payload, payloadAt);
  return frame;
}
