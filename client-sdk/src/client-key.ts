/** A client's secret, from which the coordinator derives the client's pseudonym. */

import { CLIENT_KEY_PATTERN, FederatedError, toBase64Url } from "@tributary/protocol";

/** 32 bytes from the system's secure source, in base64url: 43 characters. */
export function createClientKey(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** @throws FederatedError CONFIG_INVALID; the key itself is not in the message */
export function checkClientKey(key: string): string {
  if (new RegExp(CLIENT_KEY_PATTERN).test(key)) return key;
  throw new FederatedError(
    "CONFIG_INVALID",
    `a client key is 43 characters of base64url (32 bytes), got ${key.length} characters; ` +
      "make one with createClientKey()",
  );
}
