import { isFederatedError } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { asksClients } from "./auth-schema.ts";
import type { ConfigInput, Fault } from "./schema.ts";
import { resolveConfig } from "./schema.ts";
import { SETTINGS } from "./settings.ts";

const A = "a-token-of-the-test-0123456789-abcdef";
const B = "b-token-of-the-test-0123456789-abcdef";
type Auth = NonNullable<ConfigInput["auth"]>;

function faultsOf(input: ConfigInput): readonly Fault[] {
  try {
    resolveConfig(input);
  } catch (error) {
    if (isFederatedError(error)) return error.details?.faults as Fault[];
    throw error;
  }
  return [];
}
const pathsOf = (auth: Auth, server: ConfigInput["server"] = {}) =>
  faultsOf({ auth, server }).map(({ path }) => path);

const issuer = "https://id.example";
const audience = "tributary";

describe("settings of authentication", () => {
  test("[AU7] JSON Web Tokens have one source of keys, and an audience", () => {
    const whole = [
      { secret: A, audience },
      { publicKeyFile: "key.pem", audience },
      { jwksUrl: "https://id.example/keys", audience, issuer },
      { jwksUrl: "http://127.0.0.1:8000/keys", audience, issuer },
      { jwksUrl: "http://[::1]/keys", audience, issuer },
    ];
    for (const jwt of whole) {
      expect(pathsOf({ jwt }), JSON.stringify(jwt)).toEqual([]);
      expect(asksClients(resolveConfig({ auth: { jwt } }).auth)).toBe(true);
    }
    expect(pathsOf({ jwt: { secret: A } })).toEqual(["auth.jwt.audience"]);
    expect(pathsOf({ jwt: { jwksUrl: "https://id.example", audience } })).toEqual([
      "auth.jwt.issuer",
    ]);
    expect(pathsOf({ jwt: { secret: A, publicKeyFile: "key.pem", audience } })).toEqual([
      "auth.jwt.publicKeyFile",
    ]);
    expect(pathsOf({ jwt: { audience, issuer } })).toEqual([
      "auth.jwt.issuer",
      "auth.jwt.audience",
    ]);
    expect(asksClients(resolveConfig({}).auth)).toBe(false);
  });

  test.each([
    "http://id.example/keys",
    "http://localhost.example/keys",
    "http://localhost@id.example/keys",
    "http://127.0.0.1.example/keys",
    "https://user:word@id.example/keys",
    "file:///etc/keys",
    "id.example",
  ])("[AU7] keys never come by way of %s", (jwksUrl) => {
    expect(pathsOf({ jwt: { jwksUrl, audience, issuer } })).toEqual(["auth.jwt.jwksUrl"]);
  });

  test("[AU7] a shared secret has at least 32 characters, and is shown in no message", () => {
    const secret = A.slice(0, 31);
    const [fault, ...others] = faultsOf({ auth: { jwt: { secret, audience } } });
    expect(fault?.path).toBe("auth.jwt.secret");
    expect(JSON.stringify([fault, others])).not.toContain(secret);
    expect(SETTINGS.get("auth.jwt.secret")).toMatchObject({
      secret: true,
      environmentName: "TRIBUTARY_AUTH_JWT_SECRET",
    });
    expect(SETTINGS.get("auth.viewerToken")?.secret).toBe(true);
    expect(SETTINGS.get("auth.jwt.publicKeyFile")?.environmentName).toBe(
      "TRIBUTARY_AUTH_JWT_PUBLIC_KEY_FILE",
    );
  });

  test("[CF5] the password in an address is not repeated", () => {
    for (const jwksUrl of ["https://user:canary@id.example/keys", "ftp://canary@id.example"]) {
      try {
        resolveConfig({ auth: { jwt: { jwksUrl, audience: "a", issuer: "i" } } });
        expect.unreachable();
      } catch (error) {
        expect((error as Error).message).toContain("auth.jwt.jwksUrl must be an https URL");
        expect(JSON.stringify(error) + String(error)).not.toContain("canary");
      }
    }
  });

  test("[CF5] no two secrets are the same, and no message repeats one", () => {
    const jwt = { audience, secret: A };
    const pairs: [Auth, string][] = [
      [{ clientToken: A, adminToken: A }, "auth.adminToken"],
      [{ clientToken: A, viewerToken: A }, "auth.viewerToken"],
      [{ viewerToken: A, adminToken: A }, "auth.adminToken"],
      [{ clientToken: A, jwt }, "auth.jwt.secret"],
      [{ adminToken: A, jwt }, "auth.jwt.secret"],
    ];
    for (const [auth, path] of pairs) {
      const faults = faultsOf({ auth });
      expect(faults.map((fault) => fault.path)).toEqual([path]);
      expect(JSON.stringify(faults)).not.toContain(A);
    }
    expect(pathsOf({ clientToken: A, viewerToken: B })).toEqual([]);
  });

  test("[CF4] a host that others can reach needs one way in for clients, and an admin token", () => {
    const server = { host: "0.0.0.0", trustedProxy: true };
    expect(pathsOf({}, server)).toEqual(["auth.clientToken", "auth.adminToken"]);
    expect(pathsOf({ viewerToken: B }, server)).toEqual(["auth.clientToken", "auth.adminToken"]);
    expect(pathsOf({ clientToken: A, adminToken: B }, server)).toEqual([]);
    expect(pathsOf({ adminToken: B, jwt: { secret: A, audience } }, server)).toEqual([]);
  });
});
