import { describe, expect, test } from "vitest";

import { clientIdOf, createAuthenticator } from "./auth.ts";

const clientKey = "A".repeat(43);

describe("clients", () => {
  test("[CL2] a client's id is a pseudonym of its key: stable, distinct, and not the key", async () => {
    const auth = createAuthenticator({});
    const id = await auth.client({ clientKey });
    expect(await auth.client({ clientKey })).toBe(id);
    expect(await auth.client({ clientKey: "B".repeat(43) })).not.toBe(id);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(await clientIdOf(clientKey)).toBe(id);
  });

  test("[CL2] a key that is not 32 bytes is refused", async () => {
    await expect(createAuthenticator({}).client({ clientKey: "short" })).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
  });

  test("[CL3] a configured client token is asked of clients and readers", async () => {
    const auth = createAuthenticator({ clientToken: "enter-please-sesame" });
    await expect(auth.client({ clientKey })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(auth.client({ clientKey, token: "wrong" })).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    await expect(auth.client({ clientKey, token: "enter-please-sesame" })).resolves.toBeTruthy();
    await expect(auth.reader(undefined)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(auth.reader("enter-please-sesame")).resolves.toBeUndefined();
  });

  test("[CL3] without a client token everybody may take part and read", async () => {
    await expect(createAuthenticator({}).reader(undefined)).resolves.toBeUndefined();
  });
});

describe("steering", () => {
  test("[CL4] only the admin token steers; without one configured nobody does", async () => {
    const auth = createAuthenticator({
      clientToken: "enter-please-sesame",
      adminToken: "rule-them",
    });
    await expect(auth.admin("rule-them")).resolves.toBeUndefined();
    await expect(auth.reader("rule-them")).resolves.toBeUndefined();
    await expect(auth.admin("enter-please-sesame")).rejects.toMatchObject({ code: "FORBIDDEN" });
    await expect(auth.admin(undefined)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(createAuthenticator({}).admin("undefined")).rejects.toMatchObject({
      code: "FORBIDDEN",
    });
  });

  test("[CL4] no refusal repeats a token", async () => {
    const auth = createAuthenticator({
      clientToken: "enter-please-sesame",
      adminToken: "rule-them",
    });
    const attempts = [
      () => auth.admin("my-guess"),
      () => auth.reader("my-guess"),
      () => auth.client({ clientKey, token: "my-guess" }),
    ];
    for (const attempt of attempts) {
      const refusal: unknown = await attempt().catch((error: unknown) => error);
      expect(refusal).toMatchObject({ brand: "tributary.FederatedError" });
      expect(JSON.stringify(refusal) + String(refusal)).not.toMatch(/my-guess|sesame|rule-them/);
    }
  });
});
