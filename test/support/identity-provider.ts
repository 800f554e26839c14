/** An identity provider on the loopback interface: keys that rotate, and tokens of any account and span. */

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { exportJWK, SignJWT } from "jose";

export interface IdentityProvider extends AsyncDisposable {
  /** For `auth.jwt`. */
  readonly settings: {
    readonly jwksUrl: string;
    readonly issuer: string;
    readonly audience: string;
    readonly clockToleranceSeconds: number;
    readonly keysCooldownSeconds: number;
  };
  /** Key sets that were asked for. */
  readonly asked: number;
  sign(subject: string, spanSeconds?: number): Promise<string>;
  /** Signs with a new key from now on; the old ones stay published. */
  rotate(): void;
}

export async function startIdentityProvider(): Promise<IdentityProvider> {
  const pairs = [generateKeyPairSync("ec", { namedCurve: "P-256" })];
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    const keys = pairs.map(async ({ publicKey }, i) => ({
      ...(await exportJWK(publicKey)),
      kid: `key-${i}`,
    }));
    void Promise.all(keys).then((all) => response.end(JSON.stringify({ keys: all })));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}`;
  const audience = "tributary-of-the-test";
  return {
    settings: {
      jwksUrl: `${issuer}/keys`,
      issuer,
      audience,
      clockToleranceSeconds: 0,
      keysCooldownSeconds: 0,
    },
    get asked() {
      return asked;
    },
    sign: (subject, spanSeconds = 3600) => {
      const nowSeconds = Math.floor(Date.now() / 1000);
      return new SignJWT({})
        .setProtectedHeader({ alg: "ES256", kid: `key-${pairs.length - 1}` })
        .setSubject(subject)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(nowSeconds + spanSeconds)
        .sign(pairs.at(-1)!.privateKey);
    },
    rotate: () => void pairs.push(generateKeyPairSync("ec", { namedCurve: "P-256" })),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
