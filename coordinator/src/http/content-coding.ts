/** Bodies that are sent gzipped to those who take it (RFC 9110, section 12.5.3). */

import type { IncomingHttpHeaders } from "node:http";

import type { FastifyReply } from "fastify";

/** Does the reader take gzip? `q=0` refuses it; a coding that is not named is not wanted. */
export const takesGzip = ({ "accept-encoding": accepted }: IncomingHttpHeaders): boolean =>
  [accepted ?? ""]
    .flat()
    .join()
    .split(",")
    .some((coding) => /^\s*(x-)?gzip\s*(;\s*q=(?!0(\.0*)?\s*$)[\d.]+\s*)?$/i.test(coding));

/** Tells caches that the answer depends on this header of the request, too. */
export function varyBy(reply: FastifyReply, header: string): void {
  const before = reply.getHeader("vary");
  void reply.header("vary", before === undefined ? header : `${String(before)}, ${header}`);
}
