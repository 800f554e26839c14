/** An update's frame, taken in as the service does it once it is off the wire. */

import type { Assignment, Layout } from "@tributary/protocol";
import {
  assertEncoding,
  assertLayout,
  decodeFrameHeader,
  decodeMetrics,
  FederatedError,
  FRAME_HEADER_BYTES,
} from "@tributary/protocol";

import type { ReceivedUpdate } from "../ports.ts";
import type { TrainedUpdate } from "./train-client.ts";

/** @throws FederatedError MALFORMED_MESSAGE, UPDATE_TOO_LARGE, UPDATE_LAYOUT_MISMATCH, UPDATE_ENCODING_MISMATCH */
export function receivedUpdate(
  layout: Layout,
  { frame, checksum }: TrainedUpdate,
  { plan: { encoding }, update: { maxBytes } }: Pick<Assignment, "plan" | "update">,
): ReceivedUpdate {
  const header = decodeFrameHeader(frame, "update");
  assertLayout(header, layout);
  assertEncoding(header, encoding);
  if (frame.length > maxBytes) {
    throw new FederatedError(
      "UPDATE_TOO_LARGE",
      `the update has ${frame.length} bytes, the coordinator takes ${maxBytes}`,
    );
  }
  const payloadAt = FRAME_HEADER_BYTES + header.metricsBytes;
  return {
    checksum,
    delta: {
      encoding,
      parameterCount: header.parameterCount,
      payload: frame.subarray(payloadAt),
    },
    numExamples: header.count,
    metrics: decodeMetrics(frame.subarray(FRAME_HEADER_BYTES, payloadAt)),
    bytes: frame.length,
  };
}
