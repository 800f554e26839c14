import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { exportJWK, SignJWT, UnsecuredJWT } from "jose";
import type { JWTPayload } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { JwtSettings } from "../config/auth-schema.ts";
import type { Clock, JwtVerifier } from "../ports.ts";
import { createJwtVerifier } from "./jwt.ts";

const NOW_S = 1_800_000_000;
const SECRET = "a-secret-of-thirty-two-characters!";
const AUDIENCE = "tributary";
const ISSUER = "https://id.example";

let nowS = NOW_S;
const clock: Clock = {
  now: () => nowS * 1000,
  monotonicMs: () => nowS * 1000,
  after: () => ({ cancel: () => undefined }),
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tributary-jwt-"));
});
afterAll(() => rm(folder, { recursive: true }));

const settings = (changes: Partial<JwtSettings>): JwtSettings => ({
  audience: AUDIENCE,
  issuer: ISSUER,
  clockToleranceSeconds: 30,
  keysCooldownSeconds: 30,
  ...changes,
});

async function verifierOf(changes: Partial<JwtSettings>): Promise<JwtVerifier> {
  nowS = NOW_S;
  const verifier = await createJwtVerifier({ clock }, settings(changes));
  if (verifier === undefined) throw new Error("no verifier");
  return verifier;
}

const good: JWTPayload = { sub: "ada", iss: ISSUER, aud: AUDIENCE, iat: NOW_S, exp: NOW_S + 60 };

const sign = (
  payload: JWTPayload,
  key: KeyObject | Uint8Array = new TextEncoder().encode(SECRET),
  header: { alg: string; kid?: string; crit?: string[]; [name: string]: unknown } = {
    alg: "HS256",
  },
) => new SignJWT(payload).setProtectedHeader(header).sign(key, { crit: { odd: true } });

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");

async function keyFile(name: string, key: KeyObject): Promise<string> {
  const file = join(folder, name);
  const type = key.type === "public" ? ("spki" as const) : ("pkcs8" as const);
  await writeFile(file, key.export({ format: "pem", type }) as string);
  return file;
}

/** The refusal must be of this code, say why, and hold nothing of the token or its claims. */
async function refused(verifier: JwtVerifier, token: string, why: RegExp) {
  const error = (await verifier.verify(token).catch((refusal: unknown) => refusal)) as Error;
  expect(error).toMatchObject({ code: "UNAUTHENTICATED" });
  expect(error.message).toMatch(why);
  expect(error.cause).toBeUndefined();
  for (const part of token.split(".").filter((text) => text.length > 12)) {
    expect(error.message).not.toContain(part);
  }
  expect(error.message).not.toContain("ada");
}

test("[AU3] a token of the right signer, audience, issuer and time is taken, for as long as it says", async () => {
  const verifier = await verifierOf({ secret: SECRET });
  expect(await verifier.verify(await sign(good))).toEqual({
    issuer: ISSUER,
    subject: "ada",
    validUntil: 1000 * (NOW_S + 60 + 30),
  });
  const many = await sign({ ...good, aud: ["another", AUDIENCE] });
  expect(await verifier.verify(many)).toMatchObject({ subject: "ada" });
  expect(await createJwtVerifier({ clock }, settings({}))).toBeUndefined();
});

test.each([
  ["for another service", { ...good, aud: "another" }, /audience/],
  ["for nobody", { ...good, aud: undefined }, /audience/],
  ["of another issuer", { ...good, iss: "https://evil.example" }, /issuer/],
  ["of no issuer", { ...good, iss: undefined }, /issuer/],
  ["without an end", { ...good, exp: undefined }, /exp/],
  ["of nobody", { ...good, sub: undefined }, /sub/],
  ["of an empty subject", { ...good, sub: "" }, /subject/],
  ["that has expired", { ...good, exp: NOW_S - 31 }, /expired/],
  ["that is not valid yet", { ...good, nbf: NOW_S + 31 }, /not valid yet/],
] as const)("[AU4] a token %s is refused", async (_, payload, why) => {
  const verifier = await verifierOf({ secret: SECRET });
  await refused(verifier, await sign(payload as unknown as JWTPayload), why);
});

test("[AU4] clocks may differ by the tolerance and no more", async () => {
  const verifier = await verifierOf({ secret: SECRET });
  const token = await sign({ ...good, exp: NOW_S - 29, nbf: NOW_S + 29 });
  await expect(verifier.verify(token)).resolves.toMatchObject({ validUntil: 1000 * (NOW_S + 1) });
});

test("[AU4] an age limit ends a token before its own end", async () => {
  const verifier = await verifierOf({ secret: SECRET, maxAgeSeconds: 40 });
  const token = await sign(good);
  expect(await verifier.verify(token)).toMatchObject({ validUntil: 1000 * (NOW_S + 40 + 30) });
  nowS += 75;
  await refused(verifier, token, /expired/);
  await refused(verifier, await sign({ ...good, iat: undefined } as unknown as JWTPayload), /iat/);
});

test("[AU4] no signature, another secret's, a changed one and critical headers are refused", async () => {
  const verifier = await verifierOf({ secret: SECRET });
  await refused(verifier, new UnsecuredJWT(good).encode(), /alg|no signed/);
  const other = new TextEncoder().encode(SECRET.toUpperCase());
  await refused(verifier, await sign(good, other), /signature/);
  const token = await sign(good);
  const [head, , mac] = token.split(".");
  const payload = Buffer.from(JSON.stringify({ ...good, sub: "admin" })).toString("base64url");
  await refused(verifier, `${head}.${payload}.${mac}`, /signature/);
  await refused(verifier, `${head}.${payload}.`, /signature/);
  const odd = await sign(good, undefined, { alg: "HS256", crit: ["odd"], odd: 1 });
  await refused(verifier, odd, /crit/);
  for (const junk of ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "=".repeat(4000)]) {
    await refused(verifier, junk, /no signed/);
  }
});

test.each([
  ["RSA", rsa, ["RS256", "PS256"]],
  ["P-256", ec, ["ES256"]],
  ["Ed25519", ed, ["EdDSA"]],
] as const)(
  "[AU3] a public key of kind %s admits what it signed",
  async (name, pair, algorithms) => {
    const file = await keyFile(`${name}.pem`, pair.publicKey);
    const verifier = await verifierOf({ publicKeyFile: file });
    for (const alg of algorithms) {
      const token = await sign(good, pair.privateKey, { alg });
      expect(await verifier.verify(token), alg).toMatchObject({ subject: "ada" });
    }
  },
);

test("[AU4] a public key is never taken for a shared secret, nor for an algorithm of another kind", async () => {
  const file = await keyFile("confused.pem", rsa.publicKey);
  const verifier = await verifierOf({ publicKeyFile: file });
  const pem = new TextEncoder().encode(
    rsa.publicKey.export({ format: "pem", type: "spki" }) as string,
  );
  await refused(verifier, await sign(good, pem), /alg/);
  await refused(verifier, await sign(good, pem.subarray(0, -1)), /alg/);
  await refused(verifier, await sign(good, ec.privateKey, { alg: "ES256" }), /alg/);
  await refused(verifier, await sign(good, rsa.privateKey, { alg: "RS512" }), /alg/);
});

test("[AU5] a key that cannot be used stops the start, and names the setting", async () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const junk = join(folder, "junk.pem");
  await writeFile(junk, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
  const pair = join(folder, "pair.pem");
  const pems = [
    rsa.publicKey.export({ format: "pem", type: "spki" }),
    rsa.privateKey.export({ format: "pem", type: "pkcs8" }),
  ];
  await writeFile(pair, pems.join(""));
  const files = [
    pair,
    join(folder, "missing.pem"),
    await keyFile("private.pem", rsa.privateKey),
    await keyFile("weak.pem", weak.publicKey),
    await keyFile("x25519.pem", generateKeyPairSync("x25519").publicKey),
    junk,
  ];
  for (const publicKeyFile of files) {
    await expect(verifierOf({ publicKeyFile }), publicKeyFile).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: { faults: [{ path: "auth.jwt.publicKeyFile" }] },
    });
  }
});

/** An identity provider's key set, on the loopback interface. */
async function startProvider() {
  const state = { keys: [] as unknown[], asked: 0, answer: undefined as string | undefined };
  const server = createServer((_, response) => {
    state.asked += 1;
    const text = state.answer ?? JSON.stringify({ keys: state.keys });
    response.writeHead(text === "" ? 503 : 200).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    state,
    url: `http://127.0.0.1:${port}/keys`,
    publish: async (...pairs: (readonly [string, KeyObject])[]) => {
      state.keys = await Promise.all(
        pairs.map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid })),
      );
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("[AU3] keys of a provider are fetched once for many tokens, and a new one when it is first used", async () => {
  await using provider = await startProvider();
  await provider.publish(["one", rsa.publicKey]);
  const verifier = await verifierOf({ jwksUrl: provider.url, keysCooldownSeconds: 0 });
  const first = await sign(good, rsa.privateKey, { alg: "RS256", kid: "one" });
  for (let i = 0; i < 3; i++) await verifier.verify(first);
  expect(provider.state.asked).toBe(1);
  const second = await sign(good, ec.privateKey, { alg: "ES256", kid: "two" });
  await refused(verifier, second, /no such key/);
  await provider.publish(["one", rsa.publicKey], ["two", ec.publicKey]);
  expect(await verifier.verify(second)).toMatchObject({ subject: "ada" });
  // What the provider has withdrawn is good no more once its keys are read again.
  await provider.publish(["two", ec.publicKey]);
  await refused(verifier, await sign(good, rsa.privateKey, { alg: "RS256", kid: "3" }), /no such/);
  await refused(verifier, first, /no such key/);
});

test("[AU4] a flood of made-up keys asks the provider once, and is told to wait, not that it is wrong", async () => {
  await using provider = await startProvider();
  await provider.publish(["one", rsa.publicKey]);
  const verifier = await verifierOf({ jwksUrl: provider.url });
  const token = await sign(good, rsa.privateKey, { alg: "RS256", kid: "one" });
  await verifier.verify(token);
  for (let i = 0; i < 20; i++) {
    const made = await sign(good, rsa.privateKey, { alg: "RS256", kid: `made-up-${i}` });
    await expect(verifier.verify(made)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      retryAfterMs: 30_000,
    });
  }
  expect(provider.state.asked).toBe(1);
  expect(await verifier.verify(token)).toMatchObject({ subject: "ada" });
});

test("[AU5] a provider that fails makes nobody good and nobody wrong, and is not asked for every token", async () => {
  await using provider = await startProvider();
  await provider.publish(["one", rsa.publicKey]);
  const verifier = await verifierOf({ jwksUrl: provider.url });
  const token = await sign(good, rsa.privateKey, { alg: "RS256", kid: "one" });
  for (const broken of ["", "<html>", "{}"]) {
    provider.state.answer = broken;
    provider.state.asked = 0;
    for (let i = 0; i < 3; i++) {
      await expect(verifier.verify(token), broken).rejects.toMatchObject({
        code: "UNAVAILABLE",
        retryable: true,
      });
    }
    if (broken !== "{}") expect(provider.state.asked, broken).toBe(1);
    nowS += 3;
  }
  provider.state.answer = undefined;
  expect(await verifier.verify(token)).toMatchObject({ subject: "ada" });
});

test("[AU4] a provider's key set is never a source of shared secrets", async () => {
  await using provider = await startProvider();
  const k = Buffer.from(SECRET).toString("base64url");
  provider.state.keys = [{ kty: "oct", kid: "one", k, alg: "HS256" }];
  const verifier = await verifierOf({ jwksUrl: provider.url });
  await refused(verifier, await sign(good, undefined, { alg: "HS256", kid: "one" }), /alg/);
});

test("[AU5] a provider that is out of reach is UNAVAILABLE", async () => {
  const gone = await startProvider();
  await gone[Symbol.asyncDispose]();
  const verifier = await verifierOf({ jwksUrl: gone.url });
  const token = await sign(good, rsa.privateKey, { alg: "RS256", kid: "one" });
  await expect(verifier.verify(token)).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
