/**
 * The `Content-Digest` header (RFC 9530): SHA-256 of a body, so that a bit that flips on its way is noticed
 * where no TLS does it.
 */

import { DIGEST_BYTES, digestFromBytes, digestToBytes } from "./digest.ts";
import { FederatedError } from "./errors.ts";
import type { Digest } from "./ids.ts";

export const CONTENT_DIGEST_HEADER = "content-digest";

/** `sha-256=:<base64>:` */
export const contentDigestOf = (digest: Digest): string =>
  `sha-256=:${btoa(String.fromCharCode(...digestToBytes(digest)))}:`;

/**
 * The SHA-256 of a header; undefined for none, and for one that has other algorithms only, as the RFC asks.
 * @throws FederatedError MALFORMED_MESSAGE for a SHA-256 that is none
 */
export function parseContentDigest(header: string | undefined): Digest | undefined {
  const member = header?.split(",").find((part) => /^\s*sha-256\s*=/i.test(part));
  if (member === undefined) return undefined;
  const [, base64 = ""] = /^\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*$/.exec(member) ?? [];
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  if (bytes.length === DIGEST_BYTES) return digestFromBytes(bytes);
  throw new FederatedError(
    "MALFORMED_MESSAGE",
    `Content-Digest must be sha-256=:<32 bytes in base64>:, got ${JSON.stringify(member.slice(0, 80))}`,
  );
}
