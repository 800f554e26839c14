/**
 * Assignment tokens: an HMAC-SHA256 (RFC 2104) over client, round and expiry, so that the bearer of one
 * can hand in exactly one participant's update and the coordinator need not remember it.
 */

import type { ClientId, RoundId } from "@tributary/protocol";
import { FederatedError, isClientId, isRoundId } from "@tributary/protocol";

import type { Instant, Mac } from "../ports.ts";

export interface AssignmentClaims {
  readonly roundId: RoundId;
  readonly clientId: ClientId;
  readonly expiresAt: Instant;
}

export interface AssignmentTokens {
  sign(claims: AssignmentClaims): string;
  /**
   * What a token says, for whatever round it is.
   * @throws FederatedError UNAUTHENTICATED for no token and a forged one
   */
  read(token: string | undefined): AssignmentClaims;
  /**
   * What the token says, once it is known to be genuine and for this round. Whether it has expired is for
   * the caller to say: a wall clock may jump, and while a round is open its own deadline is the truth.
   * @throws FederatedError UNAUTHENTICATED for no token, a forged one, or another round's
   */
  verify(token: string | undefined, roundId: RoundId): AssignmentClaims;
}

/** @param mac under a secret that is kept over restarts */
export function createAssignmentTokens(mac: Mac): AssignmentTokens {
  function read(token: string | undefined): AssignmentClaims {
    const [round, client, expiry, sum, ...rest] = token?.split("~") ?? [];
    if (!isRoundId(round) || !isClientId(client) || sum === undefined || rest.length > 0) {
      throw refusal("the update needs the assignment's token as its bearer token");
    }
    if (!mac.isSumOf(sum, `${round}~${client}~${expiry ?? ""}`)) {
      throw refusal("the assignment token is not genuine");
    }
    return { roundId: round, clientId: client, expiresAt: Number(expiry) };
  }

  return {
    read,
    sign: ({ roundId, clientId, expiresAt }) => {
      const body = `${roundId}~${clientId}~${expiresAt}`;
      return `${body}~${mac.sum(body)}`;
    },
    verify: (token, roundId) => {
      const claims = read(token);
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
