/** An update frame off the wire: header checked after its 64 bytes, then the payload where it is added from. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";

import type { Checksum, ContentDigest, Encoding, FrameHeader, Layout } from "@tributary/protocol";
import {
  assertEncoding,
  assertLayout,
  createChecksum,
  decodeFrameHeader,
  decodeMetrics,
  FederatedError,
  FRAME_HEADER_BYTES,
} from "@tributary/protocol";

import type { SlotPool } from "../aggregation/update-slots.ts";
import { checksumKernel } from "../checksum/checksum-kernel.ts";
import type { ReceivedUpdate } from "../ports.ts";
import { giveBack } from "./chunk-memory.ts";
import { takeBody } from "./take-body.ts";

export interface ReadUpdateOptions {
  readonly layout: Layout;
  /** The plan's. */
  readonly encoding: Encoding;
  readonly maxBytes: number;
  /** Where the payload may be put. Who lends it takes it back once this rejected or the update was counted. */
  readonly slots: SlotPool;
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
 * again as soon as this rejects. The chunks of `body` must be nobody else's: they are given back once copied.
 * @throws FederatedError MALFORMED_MESSAGE, UPDATE_TOO_LARGE, UPDATE_LAYOUT_MISMATCH,
 * UPDATE_ENCODING_MISMATCH, UPDATE_NOT_FINITE; UPDATE_CORRUPT when it is not what the sender says it sent; ABORTED when the sender went away
 */
export async function readUpdate(
  body: Readable,
  options: ReadUpdateOptions,
): Promise<ReceivedUpdate> {
  const { contentLength, maxBytes } = options;
  if (contentLength !== undefined) assertSize(contentLength, maxBytes);
  const { header, head, payload, checksum } = await readFrame(body, options);
  return {
    delta: { encoding: options.encoding, parameterCount: header.parameterCount, payload },
    numExamples: header.count,
    metrics: decodeMetrics(head.subarray(FRAME_HEADER_BYTES)),
    checksum,
    bytes: head.length + payload.length,
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

/** What the first bytes say, once the frame that they announce is known to fit. */
function acceptHeader(header: Uint8Array, options: ReadUpdateOptions): FrameHeader {
  const decoded = decodeFrameHeader(header, "update");
  assertLayout(decoded, options.layout);
  assertEncoding(decoded, options.encoding);
  const bytes = FRAME_HEADER_BYTES + decoded.metricsBytes + decoded.payloadBytes;
  assertSize(bytes, options.maxBytes);
  const { contentLength } = options;
  if (contentLength !== undefined && contentLength !== bytes) throw notWhole(bytes, contentLength);
  return decoded;
}

const corrupt = (what: string, announced: string, got: string) =>
  new FederatedError(
    "UPDATE_CORRUPT",
    `the update should have ${what} ${announced}, what came has ${got}; send it again`,
  );

/** Told apart by its checksum in any case; SHA-256, which costs ten times as much, is made where a sender gave one. */
export function createWitness({ sha256, checksum: announced }: ContentDigest) {
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

/** A frame in two parts, the second where its sum can read it in place. */
interface ReceivedFrame {
  readonly header: FrameHeader;
  /** Header and metrics. */
  readonly head: Uint8Array;
  readonly payload: Uint8Array;
  readonly checksum: Checksum;
}

/** Puts every byte where it belongs as it comes: the payload in a slot of its sum, if there is one. */
function createFrameWriter(options: ReadUpdateOptions) {
  let header: FrameHeader | undefined;
  let head = new Uint8Array(FRAME_HEADER_BYTES);
  let payload: Uint8Array = new Uint8Array(0);
  let received = 0;
  const bytes = () => head.length + payload.length;

  return {
    /**
     * Writes as much as belongs together.
     * @returns where it lies now: at least one byte
     * @throws FederatedError UPDATE_TOO_LARGE for more than a frame has room for
     */
    write: (chunk: Uint8Array): Uint8Array => {
      const [part, from] = received < head.length ? [head, 0] : [payload, head.length];
      const at = received - from;
      const written = part.subarray(at, at + chunk.length);
      // Only a body of unannounced length gets here with more than its header said.
      if (written.length === 0) assertSize(received + chunk.length, bytes());
      written.set(startOf(chunk, written.length));
      received += written.length;
      return written;
    },
    /** Takes memory for the rest once there is a header. @throws FederatedError when no such frame may come */
    look: (): void => {
      if (header !== undefined || received < FRAME_HEADER_BYTES) return;
      header = acceptHeader(head, options);
      const whole = new Uint8Array(FRAME_HEADER_BYTES + header.metricsBytes);
      whole.set(head);
      head = whole;
      payload = memoryFor(header.payloadBytes, options);
    },
    /** @throws FederatedError MALFORMED_MESSAGE for less than a whole frame */
    end: (): Omit<ReceivedFrame, "checksum"> => {
      if (header === undefined) throw notWhole(FRAME_HEADER_BYTES, received);
      if (received < bytes()) throw notWhole(bytes(), received);
      return { header, head, payload };
    },
  };
}

/** Most chunks are taken whole, and a view costs more than to look. */
const startOf = (chunk: Uint8Array, bytes: number): Uint8Array =>
  chunk.length === bytes ? chunk : chunk.subarray(0, bytes);

const NOTHING = new Uint8Array(0);

/** Whatever lay there before is written over before anybody reads it. */
const memoryFor = (bytes: number, { slots }: ReadUpdateOptions): Uint8Array =>
  slots.take(bytes)?.bytes ?? new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);

function readFrame(body: Readable, options: ReadUpdateOptions): Promise<ReceivedFrame> {
  const { signal, onBytes, contentDigest = {}, contentLength } = options;
  const isTold = contentDigest.sha256 !== undefined || contentDigest.checksum !== undefined;
  const witness = createWitness(contentDigest);
  const writer = createFrameWriter(options);
  let fault: Error | undefined;
  return takeBody(body, signal, {
    take: (chunk) => {
      onBytes(chunk.length);
      let rest = chunk;
      while (rest.length > 0 && fault === undefined) {
        try {
          // The witness reads what was written: of a slot's memory it needs no copy.
          const written = writer.write(rest);
          witness.update(written);
          rest = written.length === rest.length ? NOTHING : rest.subarray(written.length);
          writer.look();
        } catch (error) {
          // What was damaged on its way may look like any fault, and must not cost the sender its place: the
          // rest is read, into nothing, to tell. It is no more than was announced and allowed.
          if (!isTold || contentLength === undefined) throw error;
          fault = error as Error;
        }
      }
      if (rest.length > 0) witness.update(rest);
      giveBack(chunk);
    },
    end: () => {
      const checksum = witness.verify();
      if (fault !== undefined) throw fault;
      return { ...writer.end(), checksum };
    },
  });
}
