/** Conditional and partial requests (RFC 9110, sections 13 and 14) for bodies with a strong ETag. */

import type { IncomingHttpHeaders } from "node:http";

/** Does `If-None-Match` name this tag? Weak comparison, as the RFC asks. */
export function isUnchanged(headers: IncomingHttpHeaders, etag: string): boolean {
  const wanted = headers["if-none-match"];
  if (wanted === undefined) return false;
  if (wanted.trim() === "*") return true;
  return wanted.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

/**
 * The one range that is asked for, `end` exclusive. Undefined where the whole is to be sent: no range,
 * several, one that cannot be satisfied, or `If-Range` naming another version.
 */
export function byteRange(
  headers: IncomingHttpHeaders,
  etag: string,
  length: number,
): { start: number; end: number } | undefined {
  const ifRange = headers["if-range"];
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers.range ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  const start = first === "" ? Math.max(0, length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? length : Math.min(length, Number(last) + 1);
  return start < end ? { start, end } : undefined;
}
