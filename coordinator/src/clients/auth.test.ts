import type { ClientId } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { JwtVerifier } from "../ports.ts";
import type { AuthOptions } from "./auth.ts";
import { createAuthenticator } from "./auth.ts";
import { clientIdOf } from "./pseudonym.ts";

const clientKey = "A".repeat(43);
const CLIENT = "enter-please-sesame";
const VIEWER = "look-do-not-touch";
const ADMIN = "rule-them-all-now";
const JWT = "a.good.token";

const jwt: JwtVerifier = {
  verify: async (token) => {
    if (token === JWT) return { issuer: "i", subject: "ada", validUntil: 5_000 };
    throw new FederatedError("UNAUTHENTICATED", "the token is not good: its signature is wrong");
  },
};
const pseudonymOf = async ({ subject }: { subject: string }) => `account-${subject}` as ClientId;

const authOf = (options: AuthOptions = {}, deps: { jwt?: JwtVerifier } = {}) =>
  createAuthenticator({ pseudonymOf, ...deps }, options);
const coded = (code: string) => ({ code });

describe("clients", () => {
  test("[CL2] a client is known by the pseudonym of its key", async () => {
    expect(await authOf().client({ clientKey })).toEqual({ clientId: await clientIdOf(clientKey) });
  });

  test("[CL2] a key that is not 32 bytes is refused", async () => {
    await expect(authOf().client({ clientKey: "short" })).rejects.toMatchObject(
      coded("UNAUTHENTICATED"),
    );
  });

  test("[CL3] a configured client token is asked of clients and readers", async () => {
    const auth = authOf({ clientToken: CLIENT });
    for (const token of [undefined, "wrong", `${CLIENT} `, ""]) {
      const given = token === undefined ? {} : { token };
      await expect(auth.client({ clientKey, ...given })).rejects.toMatchObject(
        coded("UNAUTHENTICATED"),
      );
      await expect(auth.reader(token)).rejects.toMatchObject(coded("UNAUTHENTICATED"));
    }
    await expect(auth.client({ clientKey, token: CLIENT })).resolves.toBeTruthy();
    await expect(auth.reader(CLIENT)).resolves.toBeUndefined();
  });

  test("[CL3] where clients need no credential, everybody may take part and read", async () => {
    await expect(authOf({ adminToken: ADMIN }).reader(undefined)).resolves.toBeUndefined();
    await expect(authOf().client({ clientKey, token: "whatever" })).resolves.toBeTruthy();
  });

  test("[AU6] who comes with a JWT is the account, whatever its key, until the token ends", async () => {
    const auth = authOf({}, { jwt });
    const one = await auth.client({ clientKey, token: JWT });
    expect(one).toEqual({ clientId: "account-ada", validUntil: 5_000 });
    expect(await auth.client({ clientKey: "B".repeat(43), token: JWT })).toEqual(one);
  });

  test("[AU1] every way in that is configured lets in, and nothing else does", async () => {
    const auth = authOf({ clientToken: CLIENT, adminToken: ADMIN }, { jwt });
    for (const token of [CLIENT, JWT]) {
      await expect(auth.client({ clientKey, token })).resolves.toBeTruthy();
      await expect(auth.reader(token)).resolves.toBeUndefined();
    }
    for (const token of ["another.jwt.token", "", ADMIN]) {
      await expect(auth.client({ clientKey, token })).rejects.toMatchObject(
        coded("UNAUTHENTICATED"),
      );
    }
    await expect(auth.client({ clientKey })).rejects.toMatchObject(coded("UNAUTHENTICATED"));
    await expect(auth.reader(undefined)).rejects.toMatchObject(coded("UNAUTHENTICATED"));
  });
});

describe("steering", () => {
  test("[CL4] only the admin token steers; without one configured nobody does", async () => {
    const auth = authOf({ clientToken: CLIENT, adminToken: ADMIN });
    await expect(auth.admin(ADMIN)).resolves.toBeUndefined();
    await expect(auth.reader(ADMIN)).resolves.toBeUndefined();
    await expect(auth.admin(CLIENT)).rejects.toMatchObject(coded("FORBIDDEN"));
    await expect(auth.admin(undefined)).rejects.toMatchObject(coded("UNAUTHENTICATED"));
    await expect(authOf().admin("undefined")).rejects.toMatchObject(coded("FORBIDDEN"));
    await expect(authOf({ viewerToken: VIEWER }).admin(VIEWER)).rejects.toMatchObject(
      coded("FORBIDDEN"),
    );
  });

  test("[AU2] a viewer reads everything and steers nothing, and is told which role that needs", async () => {
    const auth = authOf({ clientToken: CLIENT, viewerToken: VIEWER, adminToken: ADMIN }, { jwt });
    await expect(auth.reader(VIEWER)).resolves.toBeUndefined();
    expect(await auth.viewer(VIEWER)).toBe("viewer");
    expect(await auth.viewer(ADMIN)).toBe("operator");
    const refusal = auth.admin(VIEWER);
    await expect(refusal).rejects.toMatchObject(coded("FORBIDDEN"));
    await expect(refusal).rejects.toThrow(/role operator/);
    await expect(auth.client({ clientKey, token: VIEWER })).rejects.toMatchObject(
      coded("UNAUTHENTICATED"),
    );
    for (const token of [CLIENT, JWT, "wrong"]) {
      await expect(auth.viewer(token)).rejects.toMatchObject(coded("FORBIDDEN"));
    }
    await expect(auth.viewer(undefined)).rejects.toMatchObject(coded("UNAUTHENTICATED"));
    await expect(authOf().viewer("undefined")).rejects.toMatchObject(coded("FORBIDDEN"));
  });

  test("[CL4] no refusal repeats a token", async () => {
    const auth = authOf({ clientToken: CLIENT, viewerToken: VIEWER, adminToken: ADMIN }, { jwt });
    const shared = authOf({ clientToken: CLIENT });
    const attempts = [
      () => shared.client({ clientKey, token: "my-guess" }),
      () => shared.reader("my-guess"),
      () => auth.admin("my-guess"),
      () => auth.admin(VIEWER),
      () => auth.viewer("my-guess"),
      () => auth.reader("my-guess"),
      () => auth.client({ clientKey, token: "my-guess" }),
    ];
    for (const attempt of attempts) {
      const refusal: unknown = await attempt().catch((error: unknown) => error);
      expect(refusal).toMatchObject({ brand: "tributary.FederatedError" });
      expect(JSON.stringify(refusal) + String(refusal)).not.toMatch(/my-guess|sesame|rule|look-do/);
    }
  });
});
