/** Where the private half of the signing key is: in the store's secrets, or given by the operator as PEM. */

import type { SigningKey } from "@tributary/protocol";
import {
  FederatedError,
  SIGNING_SEED_BYTES,
  signingKeyFromPkcs8,
  signingKeyFromSeed,
} from "@tributary/protocol";

import type { Random, Store } from "../ports.ts";

/** Name of the seed of the coordinator's key with this number, in order of their making. */
export const seedName = (number: number): string => `model-signing-key.${number}`;

/** The key with this number, made at first asking. The same one until it is forgotten. */
export async function storedKey(
  { store, random }: { readonly store: Store; readonly random: Random },
  number: number,
): Promise<SigningKey> {
  return signingKeyFromSeed(
    await store.secret(seedName(number), () => random.bytes(SIGNING_SEED_BYTES)),
  );
}

/** @throws FederatedError CONFIG_INVALID that names the setting and shows nothing of the key */
export async function keyFromPem(pem: string, setting: string): Promise<SigningKey> {
  const base64 = pem.replace(/-----(BEGIN|END) PRIVATE KEY-----/g, "").replace(/\s+/g, "");
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return await signingKeyFromPkcs8(bytes);
  } catch {
    // The cause is dropped: it may quote what it could not read.
    throw new FederatedError(
      "CONFIG_INVALID",
      `${setting} is no Ed25519 private key in PKCS #8 PEM; make one with ` +
        "`openssl genpkey -algorithm ed25519`",
    );
  }
}
