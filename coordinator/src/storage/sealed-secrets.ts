/** Secrets of the database under the key of `storage.encryptionKey`, and the proof that the key is the right one. */

import { FederatedError } from "@tributary/protocol";

import type { KeyRing } from "./seal.ts";
import { keyIdOf, openSealed } from "./seal.ts";
import type { Rows } from "./store.ts";

/** Stands among the secrets of a store that is encrypted; says how far its encryption has come. */
const PROOF = "encryption at rest";
const placeOf = (name: string) => `secret ${name}`;

/** A secret's value; undefined where it was changed or belongs elsewhere. */
export const openSecret = (
  keys: KeyRing,
  name: string,
  value: Uint8Array,
): Uint8Array | undefined => openSealed(keys, placeOf(name), value);

export interface SealOptions {
  /** Named in what is refused. */
  readonly file: string;
  /** Wipes what rows that were replaced have left behind in the file. */
  readonly scrub: () => void;
}

/**
 * Rows whose secrets are sealed with the current key. A store that is plain, or under the previous key,
 * comes under the current one first, all of it or nothing.
 * @throws FederatedError CONFIG_INVALID (no key or a wrong one; nothing was written), INTERNAL (damaged)
 */
export function sealSecrets(
  rows: Rows,
  keys: KeyRing | undefined,
  { file, scrub }: SealOptions,
): Rows {
  assertKeys(rows, keys, file);
  if (keys === undefined) return rows;
  const proof = rows.secret(PROOF);
  const { current } = keys;

  const open = (name: string, value: Uint8Array): Uint8Array => {
    const opened = openSecret(keys, name, value);
    if (opened !== undefined) return opened;
    const message = `the secret "${name}" in ${file} was changed or belongs elsewhere; restore the file from a backup`;
    throw new FederatedError("INTERNAL", message);
  };
  const put = (name: string, value: Uint8Array) =>
    rows.putSecret(name, current.seal(placeOf(name), value));
  const replace = (name: string, value: Uint8Array) => {
    rows.removeSecret(name);
    put(name, value);
  };
  const setState = (state: "scrubbing" | "done") => replace(PROOF, Buffer.from(state));

  let state = proof && Buffer.from(open(PROOF, proof)).toString();
  if (proof === undefined || keyIdOf(proof) !== current.keyId) {
    rows.transaction(() => {
      for (const name of rows.secretNames().filter((other) => other !== PROOF)) {
        const value = rows.secret(name) as Uint8Array;
        // A plain value in an encrypted store is nobody's but an intruder's.
        replace(name, proof === undefined ? value : open(name, value));
      }
      setState("scrubbing");
    });
    state = "scrubbing";
  }
  if (state !== "done") {
    scrub();
    rows.transaction(() => setState("done"));
  }

  return {
    ...rows,
    secretNames: () => rows.secretNames().filter((name) => name !== PROOF),
    secret: (name) => {
      const value = rows.secret(name);
      return value && open(name, value);
    },
    putSecret: put,
  };
}

/**
 * Are these the keys of the store?
 * @throws FederatedError CONFIG_INVALID
 */
export function assertKeys(
  rows: Pick<Rows, "secret">,
  keys: KeyRing | undefined,
  file: string,
): void {
  const proof = rows.secret(PROOF);
  if (proof === undefined) return;
  if (keys === undefined) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} is encrypted and storage.encryptionKey is not set: set TRIBUTARY_STORAGE_ENCRYPTION_KEY or TRIBUTARY_STORAGE_ENCRYPTION_KEY_FILE to its key`,
    );
  }
  const { current, previous } = keys;
  const keyId = keyIdOf(proof);
  if (keyId === undefined || keyId === current.keyId || keyId === previous?.keyId) return;
  throw new FederatedError(
    "CONFIG_INVALID",
    `storage.encryptionKey is not the key that ${file} is encrypted with: set that one, or, to change keys, set it as storage.previousEncryptionKey`,
  );
}
