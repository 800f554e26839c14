/** Client ids: pseudonyms that lead back neither to a key nor to a person. */

import type { ClientId } from "@tributary/protocol";
import { sha256 } from "@tributary/protocol";

import type { Account } from "../ports.ts";

/** 128 bits in hexadecimal: enough that no two clients ever meet. */
const ID_CHARACTERS = 32;
const text = new TextEncoder();

/**
 * The pseudonym of a client that made its own key: a hash of it. The key is 256 random bits, so no
 * dictionary undoes the hash, and without the key nobody can speak for the client.
 */
export async function clientIdOf(clientKey: string): Promise<ClientId> {
  const digest = await sha256(text.encode(`tributary client id ${clientKey}`));
  return digest.slice(0, ID_CHARACTERS) as ClientId;
}

/** The pseudonym of an account, the same for all its devices. */
export type AccountPseudonym = (account: Pick<Account, "issuer" | "subject">) => Promise<ClientId>;

/**
 * Pseudonyms of accounts: HMAC-SHA256 (RFC 2104) over issuer and subject. A subject may be an e-mail
 * address, so a plain hash could be undone by trying addresses; without the secret this cannot.
 * @param secret 32 bytes that only the coordinator knows and keeps over restarts
 */
export async function createAccountPseudonym(secret: Uint8Array): Promise<AccountPseudonym> {
  const key = await crypto.subtle.importKey(
    "raw",
    secret as Uint8Array<ArrayBuffer>,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return async ({ issuer, subject }) => {
    // As JSON, so that no two pairs are written alike.
    const account = text.encode(JSON.stringify(["jwt", issuer, subject]));
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, account));
    const digits = Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.slice(0, ID_CHARACTERS) as ClientId;
  };
}
