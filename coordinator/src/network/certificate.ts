/** A certificate with its key, as it may be used: readable, whole, and belonging together. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";

import type { Fault } from "../config/schema.ts";
import { assertNoFaults } from "../config/schema.ts";
import type { Instant } from "../ports.ts";

/** PEM files; the certificate's holds the chain, our own certificate first. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  /** PEM, as node's TLS takes it. */
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly expiresAt: Instant;
  /** For the log: which names it is for, and which certificate it is. */
  readonly names: string;
  readonly fingerprint: string;
}

/** Below 1.2 TLS is broken (RFC 8996). */
export const MIN_TLS_VERSION = "TLSv1.2";

/** @throws FederatedError CONFIG_INVALID that names the file and its fault, never what is in it */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const faults: Fault[] = [];
  const cert = await read("certificateFile", files, faults);
  const key = await read("keyFile", files, faults);
  const x509 = cert && parse("certificateFile", files, faults, () => new X509Certificate(cert));
  const privateKey = key && parse("keyFile", files, faults, () => createPrivateKey(key));
  if (x509 !== undefined && privateKey !== undefined && !x509.checkPrivateKey(privateKey)) {
    faults.push(
      fault(
        "keyFile",
        files,
        `is not the key of the first certificate in ${files.certificateFile}`,
      ),
    );
  }
  assertNoFaults("the configuration", faults);
  if (cert === undefined || key === undefined || x509 === undefined) {
    throw new Error("a certificate without faults is whole");
  }
  // The rest of the chain, and keys that this OpenSSL finds too weak.
  parse("certificateFile", files, faults, () =>
    createSecureContext({ cert, key, minVersion: MIN_TLS_VERSION }),
  );
  assertNoFaults("the configuration", faults);
  return {
    cert,
    key,
    expiresAt: Date.parse(x509.validTo),
    names: x509.subjectAltName ?? x509.subject,
    fingerprint: x509.fingerprint256,
  };
}

type Part = keyof CertificateFiles;

async function read(
  part: Part,
  files: CertificateFiles,
  faults: Fault[],
): Promise<Buffer | undefined> {
  try {
    return await readFile(files[part]);
  } catch (error) {
    faults.push(fault(part, files, `cannot be read: ${reasonOf(error)}`));
    return undefined;
  }
}

function parse<T>(
  part: Part,
  files: CertificateFiles,
  faults: Fault[],
  run: () => T,
): T | undefined {
  try {
    return run();
  } catch (error) {
    const what = part === "keyFile" ? "private key without passphrase" : "certificate";
    faults.push(fault(part, files, `is no ${what} in PEM that can be used: ${reasonOf(error)}`));
    return undefined;
  }
}

const fault = (part: Part, files: CertificateFiles, message: string): Fault => ({
  path: `server.tls.${part}`,
  message: `names ${files[part]}, which ${message}`,
});

/** OpenSSL's reasons name the fault and hold nothing of the key. */
const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/\s+/g, " ").slice(0, 200) : String(error);
