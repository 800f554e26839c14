/** Self-signed certificates for tests (RFC 5280), made in a millisecond and without a tool. */

import type { KeyObject } from "node:crypto";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { join } from "node:path";

export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface TestCertificateOptions {
  /** Names and IPv4 addresses. Default: localhost and 127.0.0.1. */
  readonly names?: readonly string[];
  /** Default: a year from now. */
  readonly expiresAt?: Date;
}

const DAY_MS = 24 * 3_600_000;

export function makeCertificate(options: TestCertificateOptions = {}): TestCertificate {
  const { names = ["localhost", "127.0.0.1"] } = options;
  const expiresAt = options.expiresAt ?? new Date(Date.now() + 365 * DAY_MS);
  const startsAt = new Date(Math.min(Date.now(), expiresAt.getTime()) - 365 * DAY_MS);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = sequence(set(sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(names[0]!)))));
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    sequence(oid(ECDSA_SHA256)),
    subject,
    sequence(time(startsAt), time(expiresAt)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(authority(), alternativeNames(names))),
  );
  return { cert: pem(seal(body, privateKey)), key: pkcs8(privateKey) };
}

/** Writes `<name>.cert.pem` and `<name>.key.pem`. */
export async function writeCertificate(
  directory: string,
  { cert, key }: TestCertificate,
  name = "tls",
): Promise<{ readonly certificateFile: string; readonly keyFile: string }> {
  const certificateFile = join(directory, `${name}.cert.pem`);
  const keyFile = join(directory, `${name}.key.pem`);
  await writeFile(certificateFile, cert);
  await writeFile(keyFile, key, { mode: 0o600 });
  return { certificateFile, keyFile };
}

const COMMON_NAME = "550403";
const SUBJECT_ALT_NAME = "551d11";
const BASIC_CONSTRAINTS = "551d13";
const ECDSA_SHA256 = "2a8648ce3d040302";

function seal(body: Buffer, key: KeyObject): Buffer {
  const signature = sign("sha256", body, key);
  return sequence(body, sequence(oid(ECDSA_SHA256)), der(0x03, Buffer.from([0]), signature));
}

/** It signed itself, so it is its own authority. */
const authority = () =>
  sequence(oid(BASIC_CONSTRAINTS), der(0x04, sequence(der(0x01, Buffer.from([0xff])))));

const alternativeNames = (names: readonly string[]) => {
  const entries = names.map((name) =>
    isIPv4(name)
      ? der(0x87, Buffer.from(name.split(".").map(Number)))
      : der(0x82, Buffer.from(name)),
  );
  return sequence(oid(SUBJECT_ALT_NAME), der(0x04, sequence(...entries)));
};

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const set = (...parts: readonly Buffer[]) => der(0x31, ...parts);
const integer = (value: Buffer) => der(0x02, value);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
/** UTCTime, as RFC 5280 asks for dates before 2050. */
const time = (at: Date) =>
  der(
    0x17,
    Buffer.from(
      at
        .toISOString()
        .replace(/[-:T]|\.\d+/g, "")
        .slice(2),
    ),
  );
const pem = (bytes: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString("base64").replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`;
const pkcs8 = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
