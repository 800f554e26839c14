/**
 * Assignment tokens: an HMAC-SHA256 (RFC 2104) over client, round and expiry, so that the bearer of one
 * can hand in exactly one participant's update and the coordinator need not remember it.
 */

import type { ClientId, RoundId } from "@tributary/protocol";
import {
  FederatedError,
  fromBase64Url,
  isClientId,
  isRoundId,
  toBase64Url,
} from "@tributary/protocol";

import type { Instant } from "../ports.ts";

export interface AssignmentClaims {
  readonly roundId: RoundId;
  readonly clientId: ClientId;
  readonly expiresAt: Instant;
}

export interface AssignmentTokens {
  sign(claims: AssignmentClaims): Promise<string>;
  /**
   * What a token says, for whatever round it is.
   * @throws FederatedError UNAUTHENTICATED for no token and a forged one
   */
  read(token: string | undefined): Promise<AssignmentClaims>;
  /**
   * What the token says, once it is known to be genuine and for this round. Whether it has expired is for
   * the caller to say: a wall clock may jump, and while a round is open its own deadline is the truth.
   * @throws FederatedError UNAUTHENTICATED for no token, a forged one, or another round's
   */
  verify(token: string | undefined, roundId: RoundId): Promise<AssignmentClaims>;
}

/** @param secret 32 bytes that only the coordinator knows and keeps over restarts */
export async function createAssignmentTokens(secret: Uint8Array): Promise<AssignmentTokens> {
  const key = await crypto.subtle.importKey(
    "raw",
    secret as Uint8Array<ArrayBuffer>,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
  const text = new TextEncoder();

  async function read(token: string | undefined): Promise<AssignmentClaims> {
    const [round, client, expiry, mac, ...rest] = token?.split("~") ?? [];
    if (!isRoundId(round) || !isClientId(client) || mac === undefined || rest.length > 0) {
      throw refusal("the update needs the assignment's token as its bearer token");
    }
    const body = text.encode(`${round}~${client}~${expiry ?? ""}`);
    // WebCrypto compares in constant time.
    const genuine = await crypto.subtle.verify("HMAC", key, bytesOf(mac), body);
    if (!genuine) throw refusal("the assignment token is not genuine");
    return { roundId: round, clientId: client, expiresAt: Number(expiry) };
  }

  return {
    read,
    sign: async ({ roundId, clientId, expiresAt }) => {
      const body = `${roundId}~${clientId}~${expiresAt}`;
      const mac = await crypto.subtle.sign("HMAC", key, text.encode(body));
      return `${body}~${toBase64Url(new Uint8Array(mac))}`;
    },
    verify: async (token, roundId) => {
      const claims = await read(token);
      assertForRound(claims, roundId);
      return claims;
    },
  };
}

/** @throws FederatedError UNAUTHENTICATED for another round's token */
export function assertForRound(claims: AssignmentClaims, roundId: RoundId): void {
  if (claims.roundId === roundId) return;
  throw refusal(`the assignment token is for round ${claims.roundId}, not for ${roundId}`);
}

/** @throws FederatedError UNAUTHENTICATED */
export function assertNotExpired({ expiresAt }: AssignmentClaims, now: Instant): void {
  if (!(now < expiresAt)) throw refusal("the assignment token has expired");
}

const refusal = (message: string) => new FederatedError("UNAUTHENTICATED", message);

/** What is not base64url becomes no bytes at all, which no MAC equals. */
function bytesOf(mac: string): Uint8Array<ArrayBuffer> {
  try {
    return fromBase64Url(mac);
  } catch {
    return new Uint8Array(0);
  }
}
