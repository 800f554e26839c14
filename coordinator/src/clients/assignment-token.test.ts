import type { ClientId, RoundId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { createHmacSha256 } from "../identity/hmac.ts";
import { assertNotExpired, createAssignmentTokens } from "./assignment-token.ts";

const tokensOf = (secret: number) =>
  createAssignmentTokens(createHmacSha256(new Uint8Array(32).fill(secret)));
const claims = { roundId: "digits.3" as RoundId, clientId: "c0ffee" as ClientId, expiresAt: 1_000 };
/** By WebCrypto, under 32 sevens. */
const ISSUED = "digits.3~c0ffee~1000~sapqSfj2Thc-WXEDX96RcjDxFs9Tih8ptjvQw8KXpRg";

describe("assignment tokens", () => {
  test("[CL1] a token admits its client to its round until it expires", () => {
    const tokens = tokensOf(7);
    const token = tokens.sign(claims);
    expect(tokens.verify(token, claims.roundId)).toEqual(claims);
    expect(() => assertNotExpired(claims, 999)).not.toThrow();
    for (const now of [1_000, Number.NaN]) {
      expect(() => assertNotExpired(claims, now)).toThrow("has expired");
    }
    expect(() => tokens.verify(token, "digits.4" as RoundId)).toThrow(
      expect.objectContaining({ code: "UNAUTHENTICATED" }),
    );
  });

  test("[CL1] the same secret verifies after a restart, another one does not", () => {
    const token = tokensOf(7).sign(claims);
    expect(token).toBe(ISSUED);
    expect(tokensOf(7).verify(token, claims.roundId)).toEqual(claims);
    expect(() => tokensOf(8).verify(token, claims.roundId)).toThrow("not genuine");
  });

  test("[CL1] no change of any character, and no other string, is admitted", () => {
    const tokens = tokensOf(7);
    const token = tokens.sign(claims);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.nat(token.length - 1), fc.constantFrom("A", "z", "~", ".", "0"))
            .map(([at, letter]) => token.slice(0, at) + letter + token.slice(at + 1)),
          fc.constant(undefined),
        ),
        (forged) => {
          fc.pre(forged !== token);
          expect(() => tokens.verify(forged, claims.roundId)).toThrow(
            expect.objectContaining({ code: "UNAUTHENTICATED" }),
          );
        },
      ),
    );
  });
});
