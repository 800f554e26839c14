/**
 * An update under `Content-Encoding: br`. It is read whole, no more than a plain one may have, checked against the
 * sender's digest, and then unpacked, beside the event loop, straight to where a plain one would be put.
 */

import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { createBrotliDecompress } from "node:zlib";

import { FederatedError } from "@tributary/protocol";

import type { ReceivedUpdate } from "../ports.ts";
import { giveBack } from "./chunk-memory.ts";
import type { ReadUpdateOptions } from "./read-update.ts";
import { assertSize, createWitness, readUpdate } from "./read-update.ts";
import { takeBody } from "./take-body.ts";

/** What is unpacked at once, as much as a connection brings at once. */
const CHUNK_BYTES = 65_536;
/** The largest window of brotli (RFC 7932, 9.1): how far back what is unpacked may refer, and so is kept. */
const WINDOW_BYTES = 2 ** 24;

/**
 * What one may hold at most: all that was packed, the update, and as much of it again as the window has.
 * @param packedBytes as announced; undefined for a chunked body
 */
export function packedMemory(packedBytes: number | undefined, maxBytes: number): number {
  return (packedBytes ?? maxBytes) + maxBytes + Math.min(WINDOW_BYTES, maxBytes + CHUNK_BYTES);
}

/** Is there anything to unpack? @throws FederatedError MEDIA_TYPE_UNSUPPORTED for any coding but brotli */
export function isPacked(contentEncoding: string | undefined): boolean {
  const coding = contentEncoding?.trim().toLowerCase() ?? "identity";
  if (coding === "identity") return false;
  if (coding === "br") return true;
  throw new FederatedError(
    "MEDIA_TYPE_UNSUPPORTED",
    "updates are taken as they are, or with Content-Encoding: br",
  );
}

/**
 * @param options `contentLength` and `contentDigest` are those of the packed bytes (RFC 9530)
 * @throws FederatedError as `readUpdate`; MALFORMED_MESSAGE for what is not brotli, UPDATE_TOO_LARGE for what unpacks
 * to more than an update may have
 */
export async function readPacked(
  body: Readable,
  options: ReadUpdateOptions,
): Promise<ReceivedUpdate> {
  const { layout, encoding, slots, maxBytes, contentDigest = {}, signal } = options;
  const packed = await collect(body, options);
  const witness = createWitness(contentDigest);
  witness.update(packed);
  witness.verify();
  const unpacker = createBrotliDecompress({ chunkSize: CHUNK_BYTES });
  const fault = new AbortController();
  unpacker.on("error", () => {
    const message = "the body is not brotli, or not all of it";
    fault.abort(new FederatedError("MALFORMED_MESSAGE", message));
  });
  unpacker.end(packed);
  try {
    const update = await readUpdate(unpacker, {
      ...{ layout, encoding, slots, maxBytes },
      contentLength: undefined,
      signal: AbortSignal.any([signal, fault.signal]),
      onBytes: () => {},
    });
    // Whoever unpacks stops at the end of what was packed, and says nothing of the rest.
    const rest = packed.length - unpacker.bytesWritten;
    if (rest === 0) return update;
    throw new FederatedError("MALFORMED_MESSAGE", `${rest} bytes follow what was packed`);
  } finally {
    unpacker.destroy();
  }
}

/** All of it in one piece of memory: in chunks of a byte each it would take a hundred times as much. */
function collect(body: Readable, options: ReadUpdateOptions): Promise<Uint8Array> {
  const { signal, onBytes, maxBytes, contentLength = maxBytes } = options;
  const packed = Buffer.allocUnsafeSlow(Math.min(contentLength, maxBytes));
  let received = 0;
  return takeBody(body, signal, {
    take: (chunk) => {
      onBytes(chunk.length);
      assertSize(received + chunk.length, packed.length);
      packed.set(chunk, received);
      received += chunk.length;
      giveBack(chunk);
    },
    end: () => packed.subarray(0, received),
  });
}
