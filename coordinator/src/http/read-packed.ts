/**
 * An update under `Content-Encoding: br`. It is read whole, no more than a plain one may have, checked against the
 * sender's digest, and unpacked beside the event loop, again to no more than a plain one may have.
 */

import { Readable } from "node:stream";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";

import { FederatedError } from "@tributary/protocol";

import type { ReceivedUpdate } from "../ports.ts";
import type { ReadUpdateOptions } from "./read-update.ts";
import { assertSize, createWitness, readUpdate } from "./read-update.ts";
import { takeBody } from "./take-body.ts";

/** With `info`, which the types of Node do not tell: its answer is what came out, and who knows what went in. */
interface Unpacked {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}
const unpackWith = promisify(brotliDecompress);
function unpack(packed: Uint8Array, maxOutputLength: number): Promise<Unpacked> {
  const options = { maxOutputLength, info: true };
  return unpackWith(packed, options) as unknown as Promise<Unpacked>;
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
 * to more than `maxBytes`
 */
export async function readPacked(
  body: Readable,
  options: ReadUpdateOptions,
): Promise<ReceivedUpdate> {
  const { contentDigest = {}, ...others } = options;
  const { maxBytes } = options;
  const packed = await collect(body, options);
  const witness = createWitness(contentDigest);
  witness.update(packed);
  witness.verify();
  let unpacked: Unpacked;
  try {
    unpacked = await unpack(packed, maxBytes);
  } catch (error) {
    if (error instanceof RangeError) {
      throw new FederatedError(
        "UPDATE_TOO_LARGE",
        `the update unpacks to more than the ${maxBytes} bytes that are allowed`,
      );
    }
    throw new FederatedError("MALFORMED_MESSAGE", "the body is not brotli, or not all of it");
  }
  const { buffer: plain, engine } = unpacked;
  // Whoever unpacks stops at the end of what was packed, and says nothing of the rest.
  const rest = packed.length - engine.bytesWritten;
  if (rest !== 0) {
    throw new FederatedError("MALFORMED_MESSAGE", `${rest} bytes follow what was packed`);
  }
  return readUpdate(Readable.from([plain]), {
    ...others,
    contentLength: plain.length,
    onBytes: () => {},
  });
}

function collect(body: Readable, options: ReadUpdateOptions): Promise<Uint8Array> {
  const { signal, onBytes, maxBytes } = options;
  const chunks: Uint8Array[] = [];
  let received = 0;
  return takeBody(body, signal, {
    take: (chunk) => {
      onBytes(chunk.length);
      received += chunk.length;
      chunks.push(chunk);
      assertSize(received, maxBytes);
    },
    end: () => Buffer.concat(chunks),
  });
}
