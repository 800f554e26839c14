/**
 * Ed25519 (RFC 8032) through WebCrypto, which Node and current browsers have. A public key is its own
 * name: 32 bytes as 43 characters, so nobody needs a table from key ids to keys.
 */

import { fromBase64Url, toBase64Url } from "./base64url.ts";
import { FederatedError } from "./errors.ts";
import type { PublicKey } from "./ids.ts";
import { isPublicKey } from "./ids.ts";

/** 64 bytes in base64url, written in the one canonical way. */
export const SIGNATURE_PATTERN = "^[A-Za-z0-9_-]{85}[AQgw]$";

/** Bytes of the secret that a key is made from. */
export const SIGNING_SEED_BYTES = 32;

const SIGNATURE = new RegExp(SIGNATURE_PATTERN);
const ALGORITHM = { name: "Ed25519" } as const;
/** What stands before the seed in PKCS #8 (RFC 8410, 7). */
const PKCS8_PREFIX = Uint8Array.of(
  ...[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
  ],
);

export interface SigningKey {
  readonly publicKey: PublicKey;
  /** The signature of the message, as {@link SIGNATURE_PATTERN} has it. */
  sign(message: Uint8Array): Promise<string>;
}

/** The key of a seed of {@link SIGNING_SEED_BYTES} secret random bytes. */
export async function signingKeyFromSeed(seed: Uint8Array): Promise<SigningKey> {
  const pkcs8 = new Uint8Array(PKCS8_PREFIX.length + seed.length);
  pkcs8.set(PKCS8_PREFIX);
  pkcs8.set(seed, PKCS8_PREFIX.length);
  return signingKeyFromPkcs8(pkcs8);
}

/** @throws DOMException for bytes that are no Ed25519 key in PKCS #8 */
export async function signingKeyFromPkcs8(pkcs8: Uint8Array): Promise<SigningKey> {
  const bytes = pkcs8 as Uint8Array<ArrayBuffer>;
  // Extractable once: only so does WebCrypto tell the public key of a private one.
  const readable = await crypto.subtle.importKey("pkcs8", bytes, ALGORITHM, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", readable);
  const key = await crypto.subtle.importKey("pkcs8", bytes, ALGORITHM, false, ["sign"]);
  return {
    publicKey: x as PublicKey,
    sign: async (message) => {
      const signature = await crypto.subtle.sign(
        ALGORITHM,
        key,
        message as Uint8Array<ArrayBuffer>,
      );
      return toBase64Url(new Uint8Array(signature));
    },
  };
}

/**
 * Is this the key's signature of exactly these bytes? False for whatever is no key or no signature.
 * @throws FederatedError MODEL_UNTRUSTED where the runtime cannot tell
 */
export async function verifySignature(
  publicKey: PublicKey,
  signature: string,
  message: Uint8Array,
): Promise<boolean> {
  if (!isPublicKey(publicKey) || !SIGNATURE.test(signature)) return false;
  try {
    const key = await crypto.subtle.importKey("raw", fromBase64Url(publicKey), ALGORITHM, false, [
      "verify",
    ]);
    const bytes = message as Uint8Array<ArrayBuffer>;
    return await crypto.subtle.verify(ALGORITHM, key, fromBase64Url(signature), bytes);
  } catch (error) {
    if (!isUnsupported(error)) return false;
    throw new FederatedError(
      "MODEL_UNTRUSTED",
      "this runtime's WebCrypto has no Ed25519, so no model can be verified; " +
        "use Node 20, Chrome 137, Firefox 129, Safari 17 or newer",
      { cause: error },
    );
  }
}

const isUnsupported = (error: unknown): boolean =>
  error instanceof Error && error.name === "NotSupportedError";
