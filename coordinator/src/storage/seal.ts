/**
 * Bytes at rest under a key: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. What the bytes are
 * stored as (their name) is authenticated with them, so sealed bytes open only in their own place.
 *
 *     offset  bytes
 *     0       8      "TRIBSEA1": format and its version
 *     8       8      id of the key
 *     16      12     nonce
 *     28      n      ciphertext
 *     28 + n  16     tag
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const MAGIC = Buffer.from("TRIBSEA1");
const KEY_ID_AT = 8;
const NONCE_AT = 16;
const NONCE_BYTES = 12;
/** What comes before the ciphertext. */
export const SEAL_HEADER_BYTES = 28;
const TAG_BYTES = 16;
/** node:crypto takes less than 2 GiB at a time; pieces of this size cost nothing and no second copy. */
const PIECE_BYTES = 2 ** 26;

/** One key. `place` says where the bytes belong, for example `blob <digest>`. */
export interface Seal {
  /** 16 hexadecimal digits that tell keys apart and say nothing of the key. */
  readonly keyId: string;
  seal(place: string, plain: Uint8Array): Uint8Array<ArrayBuffer>;
  /** @returns undefined when the bytes were changed, cut, sealed for another place or with another key */
  open(place: string, sealed: Uint8Array): Uint8Array<ArrayBuffer> | undefined;
}

/** The keys of one data directory. */
export interface KeyRing {
  /** Seals whatever is written. */
  readonly current: Seal;
  /** Opens what the current key has not sealed yet. */
  readonly previous?: Seal;
}

/** Keys as the configuration has them: 32 bytes as hexadecimal digits or as base64, also base64url. */
export function createKeyRing(keys: {
  readonly encryptionKey?: string;
  readonly previousEncryptionKey?: string;
}): KeyRing | undefined {
  const { encryptionKey, previousEncryptionKey } = keys;
  if (encryptionKey === undefined) return undefined;
  return {
    current: createSeal(keyBytes(encryptionKey)),
    ...(previousEncryptionKey === undefined
      ? {}
      : { previous: createSeal(keyBytes(previousEncryptionKey)) }),
  };
}

const keyBytes = (text: string): Uint8Array =>
  Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? "hex" : "base64");

export function createSeal(key: Uint8Array): Seal {
  if (key.length !== 32) throw new Error(`an encryption key has 32 bytes, got ${key.length}`);
  const derive = (purpose: string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", key, "", `tributary at rest 1, ${purpose}`, bytes));
  // Neither the id nor a message under this key can say anything of the operator's own.
  const secret = derive("encryption", 32);
  const id = derive("key id", 8);

  return {
    keyId: id.toString("hex"),
    seal: (place, plain) => {
      const sealed = new Uint8Array(SEAL_HEADER_BYTES + plain.length + TAG_BYTES);
      const nonce = randomBytes(NONCE_BYTES);
      sealed.set(MAGIC);
      sealed.set(id, KEY_ID_AT);
      sealed.set(nonce, NONCE_AT);
      const cipher = createCipheriv(ALGORITHM, secret, nonce);
      cipher.setAAD(associatedData(sealed, place));
      for (let at = 0; at < plain.length; at += PIECE_BYTES) {
        const piece = plain.subarray(at, at + PIECE_BYTES);
        sealed.set(cipher.update(piece), SEAL_HEADER_BYTES + at);
      }
      cipher.final();
      sealed.set(cipher.getAuthTag(), SEAL_HEADER_BYTES + plain.length);
      return sealed;
    },
    open: (place, sealed) => {
      const end = sealed.length - TAG_BYTES;
      if (keyIdOf(sealed) !== id.toString("hex") || end < SEAL_HEADER_BYTES) return undefined;
      const nonce = sealed.subarray(NONCE_AT, SEAL_HEADER_BYTES);
      const decipher = createDecipheriv(ALGORITHM, secret, nonce);
      decipher.setAAD(associatedData(sealed, place));
      decipher.setAuthTag(sealed.subarray(end));
      const plain = new Uint8Array(end - SEAL_HEADER_BYTES);
      for (let at = SEAL_HEADER_BYTES; at < end; at += PIECE_BYTES) {
        const piece = sealed.subarray(at, Math.min(at + PIECE_BYTES, end));
        plain.set(decipher.update(piece), at - SEAL_HEADER_BYTES);
      }
      try {
        decipher.final();
      } catch {
        return undefined;
      }
      return plain;
    },
  };
}

/** Whose key sealed the bytes; undefined for bytes that are not sealed. Needs no more than the header. */
export function keyIdOf(bytes: Uint8Array): string | undefined {
  if (bytes.length < SEAL_HEADER_BYTES || Buffer.compare(bytes.subarray(0, 8), MAGIC) !== 0) {
    return undefined;
  }
  return Buffer.from(bytes.subarray(KEY_ID_AT, NONCE_AT)).toString("hex");
}

/** Opens with whichever key of the ring sealed the bytes. */
export function openSealed(
  { current, previous }: KeyRing,
  place: string,
  sealed: Uint8Array,
): Uint8Array<ArrayBuffer> | undefined {
  return current.open(place, sealed) ?? previous?.open(place, sealed);
}

const associatedData = (sealed: Uint8Array, place: string): Uint8Array =>
  Buffer.concat([sealed.subarray(0, NONCE_AT), Buffer.from(place)]);
