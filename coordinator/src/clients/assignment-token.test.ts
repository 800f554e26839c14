import type { ClientId, RoundId } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { assertNotExpired, createAssignmentTokens } from "./assignment-token.ts";

const secret = new Uint8Array(32).fill(7);
const claims = { roundId: "digits.3" as RoundId, clientId: "c0ffee" as ClientId, expiresAt: 1_000 };

describe("assignment tokens", () => {
  test("[CL1] a token admits its client to its round until it expires", async () => {
    const tokens = await createAssignmentTokens(secret);
    const token = await tokens.sign(claims);
    expect(await tokens.verify(token, claims.roundId)).toEqual(claims);
    expect(() => assertNotExpired(claims, 999)).not.toThrow();
    for (const now of [1_000, Number.NaN]) {
      expect(() => assertNotExpired(claims, now)).toThrow("has expired");
    }
    await expect(tokens.verify(token, "digits.4" as RoundId)).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });

  test("[CL1] the same secret verifies after a restart, another one does not", async () => {
    const token = await (await createAssignmentTokens(secret)).sign(claims);
    const restarted = await createAssignmentTokens(secret);
    expect(await restarted.verify(token, claims.roundId)).toEqual(claims);
    const stranger = await createAssignmentTokens(new Uint8Array(32).fill(8));
    await expect(stranger.verify(token, claims.roundId)).rejects.toThrow("not genuine");
  });

  test("[CL1] no change of any character, and no other string, is admitted", async () => {
    const tokens = await createAssignmentTokens(secret);
    const token = await tokens.sign(claims);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.nat(token.length - 1), fc.constantFrom("A", "z", "~", ".", "0"))
            .map(([at, letter]) => token.slice(0, at) + letter + token.slice(at + 1)),
          fc.constant(undefined),
        ),
        async (forged) => {
          fc.pre(forged !== token && !equivalent(forged, token));
          await expect(tokens.verify(forged, claims.roundId)).rejects.toMatchObject({
            code: "UNAUTHENTICATED",
          });
        },
      ),
    );
  });
});

/** The last base64 digit of 32 bytes has two bits to spare: four spellings of one signature. */
function equivalent(forged: string | undefined, token: string): boolean {
  return forged?.slice(0, -1) === token.slice(0, -1);
}
