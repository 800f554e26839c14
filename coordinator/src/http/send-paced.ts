/** Sends bytes piece by piece, and hangs up on a reader that does not take them. */

import { Readable } from "node:stream";

import type { FastifyReply } from "fastify";

import type { HttpDeps } from "./deps.ts";
import { watchPace } from "./pace.ts";

/** What is handed to the system at once. Small enough that each piece says something about the reader. */
const PIECE_BYTES = 65_536;

/**
 * A body that goes out as fast as it is read. The system takes some megabytes for a reader that does not
 * read; after those, nothing moves, and the connection and its hold on the bytes are given up.
 */
export function pacedBody(
  reply: FastifyReply,
  bytes: Buffer,
  { limits, metrics }: Pick<HttpDeps, "limits" | "metrics">,
): Readable {
  const pace = watchPace(
    { bytesPerSecond: limits.minDownloadBytesPerSecond, graceMs: limits.slowPeerGraceMs },
    () => {
      metrics.refused("minDownloadBytesPerSecond");
      reply.raw.destroy();
    },
  );
  reply.raw.once("close", pace.stop);
  function* pieces() {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      pace.moved(piece.length);
      yield piece;
    }
  }
  // One piece ahead of the reader, no more.
  return Readable.from(pieces(), { objectMode: true, highWaterMark: 1 });
}
