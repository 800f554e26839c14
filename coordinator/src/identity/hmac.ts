/** HMAC-SHA256 (RFC 2104), where it is asked for: for a short text a thread's answer takes far longer than the sum. */

import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";

import type { Mac } from "../ports.ts";

/** @param secret 32 bytes that nobody else knows */
export function createHmacSha256(secret: Uint8Array): Mac {
  const key = createSecretKey(secret);
  const sum = (text: string) => createHmac("sha256", key).update(text).digest("base64url");
  return {
    sum,
    isSumOf: (claimed, text) => {
      const genuine = Buffer.from(sum(text));
      const other = Buffer.from(claimed);
      // How long one is, everybody knows.
      return genuine.length === other.length && timingSafeEqual(genuine, other);
    },
  };
}
