/** Who may take part, who may read and who may steer. */

import { CLIENT_KEY_PATTERN, FederatedError, isEnrolmentToken, sha256 } from "@tributary/protocol";

import type { AdmittedClient, Authenticator, JwtVerifier, Role } from "../ports.ts";
import type { Enrolment } from "./enrolment.ts";
import type { AccountPseudonym } from "./pseudonym.ts";
import { clientIdOf } from "./pseudonym.ts";

export interface AuthDeps {
  /** Checks JSON Web Tokens; absent: none are taken. */
  readonly jwt?: JwtVerifier;
  /** Clients that enrolled; absent: none are let in by that. */
  readonly enrolment?: Pick<Enrolment, "admit" | "assertNotRevoked">;
  readonly pseudonymOf: AccountPseudonym;
}

export interface AuthOptions {
  /** One secret that all clients share. */
  readonly clientToken?: string;
  /** Opens everything that is read, and steers nothing. */
  readonly viewerToken?: string;
  /** Asked of whoever steers; absent: nobody can steer over the network. */
  readonly adminToken?: string;
}

const CLIENT_KEY = new RegExp(CLIENT_KEY_PATTERN);

/** Any way in that is configured lets a client in; where none is, everybody may come. */
export function createAuthenticator(
  { jwt, enrolment, pseudonymOf }: AuthDeps,
  { clientToken, viewerToken, adminToken }: AuthOptions,
): Authenticator {
  const isOpen = clientToken === undefined && jwt === undefined && enrolment === undefined;

  async function roleOf(token: string | undefined): Promise<Role | undefined> {
    if (await equal(token, adminToken)) return "operator";
    return (await equal(token, viewerToken)) ? "viewer" : undefined;
  }

  async function requireRole(token: string | undefined, needed: Role): Promise<Role> {
    const names = needed === "viewer" ? "viewer or admin token" : "admin token";
    if (token === undefined) {
      throw new FederatedError("UNAUTHENTICATED", `this needs the ${names} as bearer token`);
    }
    const role = await roleOf(token);
    if (role === "operator" || role === needed) return role;
    if (role === "viewer") {
      throw new FederatedError(
        "FORBIDDEN",
        "this needs the role operator (the admin token), and this token has the role viewer, which only reads",
      );
    }
    if (adminToken === undefined && (needed === "operator" || viewerToken === undefined)) {
      throw new FederatedError(
        "FORBIDDEN",
        "this coordinator has no admin token; set TRIBUTARY_AUTH_ADMIN_TOKEN to steer it by API",
      );
    }
    throw new FederatedError("FORBIDDEN", `this is not the ${names}`);
  }

  async function byAccount(token: string, verifier: JwtVerifier): Promise<AdmittedClient> {
    const account = await verifier.verify(token);
    return { clientId: await pseudonymOf(account), validUntil: account.validUntil };
  }

  return {
    client: async ({ token, clientKey }) => {
      if (!CLIENT_KEY.test(clientKey)) {
        throw new FederatedError("UNAUTHENTICATED", "clientKey must be 32 bytes in base64url");
      }
      const isShared = await equal(token, clientToken);
      const invitation = token !== undefined && isEnrolmentToken(token) ? token : undefined;
      if (jwt !== undefined && token !== undefined && !isShared && invitation === undefined) {
        return byAccount(token, jwt);
      }
      const clientId = await clientIdOf(clientKey);
      if ((await enrolment?.admit(clientId, invitation)) === true) return { clientId };
      if (isOpen || isShared) return { clientId };
      throw new FederatedError(
        "UNAUTHENTICATED",
        "the client's token is missing or wrong; pass it to createClient as `token`",
      );
    },
    assertAdmitted: async (clientId) => enrolment?.assertNotRevoked(clientId),
    reader: async (token) => {
      if (isOpen || (await equal(token, clientToken))) return;
      if ((await roleOf(token)) !== undefined) return;
      if (enrolment !== undefined && token !== undefined && CLIENT_KEY.test(token)) {
        if (await enrolment.admit(await clientIdOf(token), undefined)) return;
      }
      if (jwt !== undefined && token !== undefined) {
        await jwt.verify(token);
        return;
      }
      throw new FederatedError(
        "UNAUTHENTICATED",
        "this needs a client's credential, the viewer token or the admin token as bearer token",
      );
    },
    viewer: (token) => requireRole(token, "viewer"),
    admin: async (token) => {
      await requireRole(token, "operator");
    },
    isOperator: async (token) =>
      isOpen && adminToken === undefined && viewerToken === undefined
        ? true
        : equal(token, adminToken),
  };
}

const hash = (value: string) => sha256(new TextEncoder().encode(value));

/** Compares hashes, so that the time taken says nothing about the secret. */
async function equal(given: string | undefined, secret: string | undefined): Promise<boolean> {
  if (given === undefined || secret === undefined) return false;
  const [a, b] = await Promise.all([hash(given), hash(secret)]);
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}
