/**
 * The `Content-Digest` header (RFC 9530) of an update, so that a bit that flips on its way is noticed where no TLS
 * does it: SHA-256, which everybody can make, or the checksum of `checksum.ts`, which costs a tenth and goes by a key
 * of ours, `tributary-128`; who does not know it passes it over, as the RFC asks.
 */

import { CHECKSUM_BYTES } from "./checksum.ts";
import { bytesOfHex, DIGEST_BYTES, hexOf } from "./digest.ts";
import { FederatedError } from "./errors.ts";
import type { Checksum, Digest } from "./ids.ts";

export const CONTENT_DIGEST_HEADER = "content-digest";

/** What a header says of a body; whatever is there must be true of it. */
export interface ContentDigest {
  readonly sha256?: Digest | undefined;
  readonly checksum?: Checksum | undefined;
}

/** `sha-256=:<base64>:`, `tributary-128=:<base64>:` */
export function contentDigestOf({ sha256, checksum }: ContentDigest): string {
  const members: string[] = [];
  if (sha256 !== undefined) members.push(`sha-256=:${base64OfHex(sha256)}:`);
  if (checksum !== undefined) members.push(`tributary-128=:${base64OfHex(checksum)}:`);
  return members.join(", ");
}

/**
 * What a header says by the two; nothing where there is none, and for one that has other algorithms only, as the RFC
 * asks.
 * @throws FederatedError MALFORMED_MESSAGE for a SHA-256 or a checksum that is none
 */
export function parseContentDigest(header: string | undefined): ContentDigest {
  const members = header?.split(",") ?? [];
  const sha256 = hexOfMember(members, "sha-256", DIGEST_BYTES);
  const checksum = hexOfMember(members, "tributary-128", CHECKSUM_BYTES);
  return {
    ...(sha256 === undefined ? {} : { sha256: sha256 as Digest }),
    ...(checksum === undefined ? {} : { checksum: checksum as Checksum }),
  };
}

const base64OfHex = (hex: string) => btoa(String.fromCharCode(...bytesOfHex(hex)));

function hexOfMember(members: readonly string[], key: string, bytes: number): string | undefined {
  const nameOf = (member: string) => member.split("=", 1)[0]?.trim().toLowerCase();
  const member = members.find((one) => one.includes("=") && nameOf(one) === key);
  if (member === undefined) return undefined;
  const [, base64 = ""] = /=:([A-Za-z0-9+/]+={0,2}):\s*$/.exec(member) ?? [];
  const value = bytesOfBase64(base64);
  if (value?.length === bytes) return hexOf(value);
  throw new FederatedError(
    "MALFORMED_MESSAGE",
    `Content-Digest must be ${key}=:<${bytes} bytes in base64>:, got ${JSON.stringify(member.slice(0, 80))}`,
  );
}

/** undefined for what is no base64. */
function bytesOfBase64(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
