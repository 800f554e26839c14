/** Who may take part, who may read and who may steer. */

import type { ClientId, Digest } from "@tributary/protocol";
import { CLIENT_KEY_PATTERN, FederatedError, sha256 } from "@tributary/protocol";

import type { Authenticator } from "../ports.ts";

export interface AuthOptions {
  /** Asked of every client and reader; absent: everyone is admitted. */
  readonly clientToken?: string;
  /** Asked of whoever steers; absent: nobody can steer over the network. */
  readonly adminToken?: string;
}

const CLIENT_KEY = new RegExp(CLIENT_KEY_PATTERN);

export function createAuthenticator(options: AuthOptions): Authenticator {
  const { clientToken, adminToken } = options;
  return {
    client: async ({ token, clientKey }) => {
      if (clientToken !== undefined && !(await equal(token, clientToken))) {
        throw new FederatedError(
          "UNAUTHENTICATED",
          "the client token is missing or wrong; pass it to createClient as `token`",
        );
      }
      if (!CLIENT_KEY.test(clientKey)) {
        throw new FederatedError("UNAUTHENTICATED", "clientKey must be 32 bytes in base64url");
      }
      return clientIdOf(clientKey);
    },
    reader: async (token) => {
      if (clientToken === undefined) return;
      if (await equal(token, clientToken)) return;
      if (await equal(token, adminToken)) return;
      throw new FederatedError(
        "UNAUTHENTICATED",
        "this needs the client token or the admin token as bearer token",
      );
    },
    admin: async (token) => {
      if (token === undefined) {
        throw new FederatedError("UNAUTHENTICATED", "this needs the admin token as bearer token");
      }
      if (adminToken === undefined) {
        throw new FederatedError(
          "FORBIDDEN",
          "this coordinator has no admin token; set TRIBUTARY_AUTH_ADMIN_TOKEN to steer it by API",
        );
      }
      if (!(await equal(token, adminToken))) {
        throw new FederatedError("FORBIDDEN", "this is not the admin token");
      }
    },
  };
}

/**
 * The pseudonym of a client: 128 bits of the hash of its key. Records that hold it cannot be turned
 * back into the key, and without the key nobody can speak for the client.
 */
export async function clientIdOf(clientKey: string): Promise<ClientId> {
  const digest = await hash(`tributary client id ${clientKey}`);
  return digest.slice(0, 32) as ClientId;
}

const hash = (value: string): Promise<Digest> => sha256(new TextEncoder().encode(value));

/** Compares hashes, so that the time taken says nothing about the secret. */
async function equal(given: string | undefined, secret: string | undefined): Promise<boolean> {
  if (given === undefined || secret === undefined) return false;
  const [a, b] = await Promise.all([hash(given), hash(secret)]);
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
