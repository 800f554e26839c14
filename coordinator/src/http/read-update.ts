/** An update frame off the wire: header checked after its 64 bytes, then one buffer of the right size. */

import { createHash } from "node:crypto";
import type { Readable } from "node:stream";

import type { Checksum, ContentDigest, Encoding, Layout } from "@tributary/protocol";
import {
  assertEncoding,
  assertLayout,
  createChecksum,
  decodeFrameHeader,
  decodeMetrics,
  FederatedError,
  FRAME_HEADER_BYTES,
} from "@tributary/protocol";

import type { ReceivedUpdate } from "../ports.ts";
import { checksumKernel } from "./checksum-kernel.ts";

export interface ReadUpdateOptions {
  readonly layout: Layout;
  /** The plan's. */
  readonly encoding: Encoding;
  readonly maxBytes: number;
  /** As the sender announced it; undefined for a chunked body. */
  readonly contentLength: number | undefined;
  /** What the sender says of the body. */
  readonly contentDigest?: ContentDigest;
  /** Ends the reading with its reason. */
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Reads one whole update. Memory is taken once the header is known to fit the layout, and is free
 * again as soon as this rejects.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_TOO_LARGE, UPDATE_LAYOUT_MISMATCH,
 * UPDATE_ENCODING_MISMATCH, UPDATE_NOT_FINITE; UPDATE_CORRUPT when it is not what the sender says it sent; ABORTED when the sender went away
 */
export async function readUpdate(
  body: Readable,
  options: ReadUpdateOptions,
): Promise<ReceivedUpdate> {
  const { contentLength, maxBytes } = options;
  if (contentLength !== undefined) assertSize(contentLength, maxBytes);
  const { frame, checksum } = await readFrame(body, options);
  const header = decodeFrameHeader(frame, "update");
  const payloadAt = FRAME_HEADER_BYTES + header.metricsBytes;
  return {
    delta: {
      encoding: options.encoding,
      parameterCount: header.parameterCount,
      payload: frame.subarray(payloadAt),
    },
    numExamples: header.count,
    metrics: decodeMetrics(frame.subarray(FRAME_HEADER_BYTES, payloadAt)),
    checksum,
    bytes: frame.length,
  };
}

/** @throws FederatedError UPDATE_TOO_LARGE */
export function assertSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) {
    throw new FederatedError(
      "UPDATE_TOO_LARGE",
      `the update has ${bytes} bytes or more, at most ${maxBytes} are allowed`,
    );
  }
}

/** Whole length of the frame that begins with `header`, once it is known to fit. */
function frameBytes(header: Uint8Array, options: ReadUpdateOptions): number {
  const decoded = decodeFrameHeader(header, "update");
  assertLayout(decoded, options.layout);
  assertEncoding(decoded, options.encoding);
  const bytes = FRAME_HEADER_BYTES + decoded.metricsBytes + decoded.payloadBytes;
  assertSize(bytes, options.maxBytes);
  const { contentLength } = options;
  if (contentLength !== undefined && contentLength !== bytes) throw notWhole(bytes, contentLength);
  return bytes;
}

const corrupt = (what: string, announced: string, got: string) =>
  new FederatedError(
    "UPDATE_CORRUPT",
    `the update should have ${what} ${announced}, what came has ${got}; send it again`,
  );

/** Told apart by its checksum in any case; SHA-256, which costs ten times as much, is made where a sender gave one. */
function createWitness({ sha256, checksum: announced }: ContentDigest) {
  const hash = sha256 === undefined ? undefined : createHash("sha256");
  const checksum = createChecksum(checksumKernel);
  return {
    update: (chunk: Uint8Array) => {
      checksum.update(chunk);
      hash?.update(chunk);
    },
    /** @throws FederatedError UPDATE_CORRUPT when the bytes are not what was announced */
    verify: (): Checksum => {
      const own = checksum.digest();
      if (announced !== undefined && own !== announced) throw corrupt("checksum", announced, own);
      const digest = hash?.digest("hex");
      if (sha256 !== undefined && digest !== sha256) throw corrupt("SHA-256", sha256, digest ?? "");
      return own;
    },
  };
}

const notWhole = (announced: number, got: number) =>
  new FederatedError(
    "MALFORMED_MESSAGE",
    `the frame's header announces ${announced} bytes, the body has ${got}`,
  );

function readFrame(
  body: Readable,
  options: ReadUpdateOptions,
): Promise<{ frame: Uint8Array<ArrayBuffer>; checksum: Checksum }> {
  const { signal, onBytes, contentDigest = {}, contentLength } = options;
  const isTold = contentDigest.sha256 !== undefined || contentDigest.checksum !== undefined;
  return new Promise((resolve, reject) => {
    const witness = createWitness(contentDigest);
    let frame = new Uint8Array(FRAME_HEADER_BYTES);
    let headerRead = false;
    let received = 0;
    let fault: Error | undefined;

    function take(chunk: Uint8Array): void {
      let rest = chunk;
      if (!headerRead) {
        const part = rest.subarray(0, FRAME_HEADER_BYTES - received);
        frame.set(part, received);
        received += part.length;
        rest = rest.subarray(part.length);
        if (received < FRAME_HEADER_BYTES) return;
        headerRead = true;
        const whole = new Uint8Array(frameBytes(frame, options));
        whole.set(frame);
        frame = whole;
      }
      // Only a body of unannounced length gets here with more than its header said.
      assertSize(received + rest.length, frame.length);
      frame.set(rest, received);
      received += rest.length;
    }

    const onData = (chunk: Uint8Array) => {
      onBytes(chunk.length);
      witness.update(chunk);
      if (fault !== undefined) return;
      try {
        take(chunk);
      } catch (error) {
        // What was damaged on its way may look like any fault, and must not cost the sender its place: the
        // rest is read, into nothing, to tell. It is no more than was announced and allowed.
        if (isTold && contentLength !== undefined) fault = error as Error;
        else fail(error as Error);
      }
    };
    const onEnd = () => {
      try {
        const checksum = witness.verify();
        if (fault !== undefined) throw fault;
        if (!headerRead) throw notWhole(FRAME_HEADER_BYTES, received);
        if (received < frame.length) throw notWhole(frame.length, received);
        stop();
        resolve({ frame, checksum });
      } catch (error) {
        fail(error as Error);
      }
    };
    const onGone = () => fail(new FederatedError("ABORTED", "the sender went away"));
    const onAbort = () => fail(signal.reason as Error);
    const fail = (error: Error) => {
      stop();
      reject(error);
    };
    const stop = () => {
      body.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      signal.removeEventListener("abort", onAbort);
    };

    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    body.on("error", onGone).on("close", onGone).on("end", onEnd).on("data", onData);
  });
}
