/** Settings of who may come in, with every default's reason, and the rules across them. */

import * as Type from "typebox";

import type { Fault } from "./schema.ts";

/** `writeOnly`: never shown, never printed. It travels in a header, hence the alphabet. */
export const secret = (minLength = 16) =>
  Type.Optional(
    Type.String({
      pattern: `^[\\x21-\\x7e]{${minLength},}$`,
      rule: `must be ${minLength} or more visible ASCII characters without spaces`,
      writeOnly: true,
    }),
  );

const text = () => Type.Optional(Type.String({ minLength: 1 }));

/** https, as whoever can change the keys on their way can let anybody in; http only on this machine. */
const KEYS_URL =
  "^(https://[^\\s/@]+(/\\S*)?|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]+)?(/\\S*)?)$";

/** JSON Web Tokens of clients (RFC 7519). At most one of the first three; with none, no JWT is taken. */
const JwtSchema = Type.Object(
  {
    // RFC 7518, 3.2: an HS256 key has at least the 256 bits of the hash.
    secret: secret(32),
    /** PEM of the signer's public key (SPKI); from the working directory. */
    publicKeyFile: text(),
    /** Where an identity provider publishes its keys. */
    jwksUrl: Type.Optional(
      Type.String({
        pattern: KEYS_URL,
        rule: "must be an https URL without user name, or an http URL on this machine",
      }),
    ),
    /** What `iss` must be. */
    issuer: text(),
    /** What `aud` must be or contain: a token that was made for another service opens nothing here. */
    audience: text(),
    // Clocks of servers that are kept right differ by less; a token is good for so much longer.
    clockToleranceSeconds: Type.Integer({ minimum: 0, maximum: 600, default: 30 }),
    // Absent: `exp` decides alone. Caps tokens that a provider issues for longer than an operator likes.
    maxAgeSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 366 * 86_400 })),
    // An unknown key is asked for at once, but by a flood of made-up ones only so often.
    keysCooldownSeconds: Type.Integer({ minimum: 0, maximum: 3600, default: 30 }),
  },
  { additionalProperties: false, default: {} },
);

// No default tokens: a secret that everybody knows is none.
export const AuthSchema = Type.Object(
  {
    /** Asked of clients and readers: one secret for all of them. */
    clientToken: secret(),
    /** The role viewer: reads, under privacy not what is the operator's, and steers nothing. */
    viewerToken: secret(),
    /** The role operator: asked of whoever steers tasks. */
    adminToken: secret(),
    jwt: JwtSchema,
    enrolment: Type.Object(
      {
        // False: nobody has issued a token yet, and a coordinator with another way in needs none. True:
        // clients may enrol, and without another way in nobody comes in who did not.
        enabled: Type.Boolean({ default: false }),
      },
      { additionalProperties: false, default: {} },
    ),
  },
  { additionalProperties: false, default: {} },
);

export type AuthSettings = Type.Static<typeof AuthSchema>;
export type JwtSettings = Type.Static<typeof JwtSchema>;

const KEY_SOURCES = ["secret", "publicKeyFile", "jwksUrl"] as const;

/** Is there a key that JSON Web Tokens are checked with? */
export const takesJwt = (jwt: Partial<JwtSettings> | undefined): boolean =>
  KEY_SOURCES.some((name) => jwt?.[name] !== undefined);

/** Does a client need a credential to take part and to read? */
export const asksClients = ({ clientToken, jwt, enrolment }: Partial<AuthSettings>): boolean =>
  clientToken !== undefined || takesJwt(jwt) || enrolment?.enabled === true;

/**
 * Rules across the settings. Parts that are wrong in themselves may be missing, and are passed over.
 * @param open why everybody can reach the listener, where that is so
 */
export function authFaults(auth: Partial<AuthSettings>, open: string | undefined): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: string, message: string) => faults.push({ path: `auth.${path}`, message });
  if (open !== undefined) {
    if (!asksClients(auth)) {
      fault(
        "clientToken",
        `is not set, nor auth.jwt or auth.enrolment.enabled, while ${open}: set one of them, or keep to 127.0.0.1 without a proxy`,
      );
    }
    if (auth.adminToken === undefined) {
      fault(
        "adminToken",
        `is not set, while ${open}: set it, or keep to 127.0.0.1 without a proxy`,
      );
    }
  }
  const secrets = [
    ["clientToken", auth.clientToken, "every client"],
    ["viewerToken", auth.viewerToken, "every viewer"],
    ["adminToken", auth.adminToken, "whoever has it"],
    ["jwt.secret", auth.jwt?.secret, "whoever has it"],
  ] as const;
  for (const [i, [name, value]] of secrets.entries()) {
    const [earlier, , holder] = secrets.slice(0, i).find(([, other]) => other === value) ?? [];
    if (value === undefined || earlier === undefined) continue;
    const power = name === "adminToken" ? "steer tasks" : "pass for another";
    fault(name, `equals auth.${earlier}, so ${holder} could ${power}: use two secrets`);
  }
  faults.push(...jwtFaults(auth.jwt ?? {}));
  return faults;
}

function jwtFaults(jwt: Partial<JwtSettings>): Fault[] {
  const faults: Fault[] = [];
  const fault = (name: string, message: string) =>
    faults.push({ path: `auth.jwt.${name}`, message });
  const [source, ...others] = KEY_SOURCES.filter((name) => jwt[name] !== undefined);
  for (const other of others) {
    fault(other, `is set as well as auth.jwt.${source}: tokens have one signer, keep one of them`);
  }
  if (source === undefined) {
    for (const name of ["issuer", "audience", "maxAgeSeconds"] as const) {
      if (jwt[name] === undefined) continue;
      fault(name, `is set, but no key: set one of auth.jwt.${KEY_SOURCES.join(", ")}`);
    }
    return faults;
  }
  if (jwt.audience === undefined) {
    fault("audience", "is not set: without it, a token for any other service would be good here");
  }
  if (source === "jwksUrl" && jwt.issuer === undefined) {
    fault("issuer", "is not set: the keys of a provider may sign for others than you, too");
  }
  return faults;
}
