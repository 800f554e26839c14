/**
 * Checks JSON Web Tokens (RFC 7519, and the advice of RFC 8725) with jose: signature by a key and an
 * algorithm of our choosing, audience, issuer, subject and time. No error tells anything of a token.
 */

import { FederatedError, isFederatedError } from "@tributary/protocol";
import { errors, jwtVerify } from "jose";
import type { JWTPayload } from "jose";

import type { JwtSettings } from "../config/auth-schema.ts";
import type { Clock, JwtVerifier } from "../ports.ts";
import { createJwtKeys } from "./jwt-keys.ts";

/** Undefined where no JWT is taken. @throws FederatedError CONFIG_INVALID for a key that cannot be used */
export async function createJwtVerifier(
  { clock }: { readonly clock: Clock },
  settings: JwtSettings,
): Promise<JwtVerifier | undefined> {
  const keys = await createJwtKeys(settings, clock);
  if (keys === undefined) return undefined;
  const { algorithms, key } = keys;
  const { issuer, audience, clockToleranceSeconds, maxAgeSeconds } = settings;
  const options = {
    algorithms: [...algorithms],
    clockTolerance: clockToleranceSeconds,
    requiredClaims: ["exp", "sub", "aud"],
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
    ...(maxAgeSeconds === undefined ? {} : { maxTokenAge: maxAgeSeconds }),
  };

  async function check(token: string): Promise<JWTPayload> {
    try {
      const currentDate = new Date(clock.now());
      return (await jwtVerify(token, key, { ...options, currentDate })).payload;
    } catch (error) {
      if (isFederatedError(error)) throw error;
      // No `cause`: jose's errors carry the claims, which are somebody's name and address.
      throw new FederatedError("UNAUTHENTICATED", `the token is not good: ${reasonOf(error)}`);
    }
  }

  return {
    verify: async (token) => {
      const { iss = "", sub = "", exp = 0, iat } = await check(token);
      if (sub === "") throw new FederatedError("UNAUTHENTICATED", "the token names no subject");
      const age = maxAgeSeconds === undefined ? exp : (iat ?? exp) + maxAgeSeconds;
      const validUntil = 1000 * (Math.min(exp, age) + clockToleranceSeconds);
      return { issuer: iss, subject: sub, validUntil };
    },
  };
}

/** Claims and what they must be, in words. */
const CLAIM_RULES: Readonly<Record<string, string>> = {
  aud: "its audience (aud) is not the one of auth.jwt.audience",
  iss: "its issuer (iss) is not the one of auth.jwt.issuer",
  nbf: "it is not valid yet (nbf)",
  iat: "it has no usable instant of issue (iat)",
  exp: "it does not say when it expires (exp)",
  sub: "it names no subject (sub)",
};

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "it has expired; get a new one";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CLAIM_RULES[error.claim] ?? "a claim in it is not as it must be";
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm (alg) is not taken here";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "its signature is wrong";
  if (error instanceof errors.JWKSNoMatchingKey) return "the identity provider has no such key";
  if (error instanceof errors.JWKSMultipleMatchingKeys) return "it does not say its key (kid)";
  if (error instanceof errors.JOSENotSupported) return "it asks for what is not supported (crit)";
  return "it is no signed JSON Web Token";
}
