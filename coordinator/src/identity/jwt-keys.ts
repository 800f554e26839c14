/** Where the keys come from that JSON Web Tokens are checked with: a secret, a file, or a provider's URL. */

import type { KeyObject } from "node:crypto";
import { createPublicKey } from "node:crypto";
import { readFile } from "node:fs/promises";

import { FederatedError } from "@tributary/protocol";
import { createRemoteJWKSet, customFetch, errors } from "jose";
import type { FetchImplementation, JWTVerifyGetKey } from "jose";

import type { JwtSettings } from "../config/auth-schema.ts";
import type { Clock } from "../ports.ts";

export interface JwtKeys {
  /** The only algorithms that a token may name; a key never serves one of another kind. */
  readonly algorithms: readonly string[];
  readonly key: JWTVerifyGetKey<Uint8Array>;
}

/** @throws FederatedError CONFIG_INVALID; undefined where no key is configured */
export async function createJwtKeys(
  settings: JwtSettings,
  clock: Clock,
): Promise<JwtKeys | undefined> {
  const { secret, publicKeyFile, jwksUrl } = settings;
  if (secret !== undefined) {
    const bytes = new TextEncoder().encode(secret);
    return { algorithms: ["HS256"], key: async () => bytes };
  }
  if (publicKeyFile !== undefined) {
    const key = await readPublicKey(publicKeyFile);
    return { algorithms: algorithmsOf(key), key: async () => key };
  }
  if (jwksUrl === undefined) return undefined;
  return {
    // No HS256: a key that is published is no secret.
    algorithms: ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
    key: createProviderKeys(jwksUrl, settings.keysCooldownSeconds * 1000, clock),
  };
}

/** A setting that is as it should be written, and of no use nonetheless. */
function refuse(name: keyof JwtSettings, message: string): never {
  const faults = [{ path: `auth.jwt.${name}`, message }];
  throw new FederatedError(
    "CONFIG_INVALID",
    `the configuration is not valid: auth.jwt.${name} ${message}`,
    { details: { faults } },
  );
}

async function readPublicKey(file: string): Promise<KeyObject> {
  let pem: string;
  try {
    pem = await readFile(file, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return refuse("publicKeyFile", `names a file that cannot be read: ${reason}`);
  }
  // `createPublicKey` would take a private key as well, which has no business here.
  if (!/^-----BEGIN PUBLIC KEY-----\s/m.test(pem) || pem.includes("PRIVATE KEY")) {
    refuse("publicKeyFile", `names ${file}, which is no public key in PEM ("BEGIN PUBLIC KEY")`);
  }
  try {
    return createPublicKey(pem);
  } catch {
    return refuse("publicKeyFile", `names ${file}, whose key cannot be read; is the file whole?`);
  }
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

/** RFC 7518, 3.1 and RFC 8037: what a key of this kind can have signed. */
function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  if (asymmetricKeyType === "ed25519") return ["EdDSA", "Ed25519"];
  if (asymmetricKeyType === "rsa") {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits < 2048) refuse("publicKeyFile", `names an RSA key of ${bits} bits; 2048 is the least`);
    return ["RS256", "PS256"];
  }
  const curve = asymmetricKeyDetails?.namedCurve ?? "";
  const algorithm = asymmetricKeyType === "ec" ? CURVES[curve] : undefined;
  if (algorithm !== undefined) return [algorithm];
  const kind = [asymmetricKeyType, curve].filter((part) => part !== "").join(" ");
  return refuse(
    "publicKeyFile",
    `names a key of type ${kind}; use RSA, P-256, P-384, P-521 or Ed25519`,
  );
}

/** A provider that answers late is as good as one that does not: the client comes again. */
const ANSWER_TIMEOUT_MS = 5_000;
/** Keys that are this old are fetched again, so that one that was withdrawn is soon forgotten. */
const KEYS_MAX_AGE_MS = 600_000;
/** After a fetch that failed: neither the provider nor we are served by trying for every token. */
const RETRY_MS = 2_000;
/** A key set has a few KB. */
const MAX_KEYS_CHARACTERS = 1_048_576;

function createProviderKeys(
  url: string,
  cooldownMs: number,
  clock: Clock,
): JWTVerifyGetKey<Uint8Array> {
  if (!URL.canParse(url)) refuse("jwksUrl", "is no URL that can be read");
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: ANSWER_TIMEOUT_MS,
    cooldownDuration: cooldownMs,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    [customFetch]: createPatientFetch(clock),
  });
  return async (header, token) => {
    const wasCoolingDown = keys.coolingDown;
    try {
      return await keys(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && wasCoolingDown) {
        // Perhaps a key that the provider has published since: nothing can be said before we may ask.
        throw new FederatedError(
          "UNAVAILABLE",
          "the token's key is not known yet; the identity provider is asked again in a moment",
          { retryAfterMs: cooldownMs },
        );
      }
      if (isAboutToken(error)) throw error;
      throw new FederatedError(
        "UNAVAILABLE",
        "the identity provider's keys cannot be had; try again later",
        { cause: error, retryAfterMs: RETRY_MS },
      );
    }
  };
}

/** What the key set has to say of the token, as against what kept it from being read. */
const isAboutToken = (error: unknown): boolean =>
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys ||
  error instanceof errors.JOSENotSupported ||
  error instanceof errors.JWSInvalid;

/** Fetches a whole and readable answer, or fails; after a failure it fails at once for a while. */
function createPatientFetch(clock: Clock): FetchImplementation {
  let failure: { readonly error: unknown; readonly atMs: number } | undefined;
  return async (url, options) => {
    if (failure !== undefined && clock.monotonicMs() - failure.atMs < RETRY_MS) {
      throw failure.error;
    }
    try {
      const response = await fetch(url, options);
      const text = await response.text();
      if (response.status !== 200 || text.length > MAX_KEYS_CHARACTERS) {
        throw new Error(`status ${response.status} with ${text.length} characters`);
      }
      JSON.parse(text);
      failure = undefined;
      return new Response(text);
    } catch (error) {
      failure = { error, atMs: clock.monotonicMs() };
      throw error;
    }
  };
}
