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
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let received = 0;
    const onData = (chunk: Uint8Array) => {
      onBytes(chunk.length);
      received += chunk.length;
      chunks.push(chunk);
      try {
        assertSize(received, maxBytes);
      } catch (error) {
        fail(error as Error);
      }
    };
    const onEnd = () => {
      stop();
      resolve(Buffer.concat(chunks));
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
