import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureContextOptions } from "node:tls";

import type { FederatedError } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { TestCertificate } from "../../../test/support/certificate.ts";
import { makeCertificate, writeCertificate } from "../../../test/support/certificate.ts";
import type { Fault } from "../config/schema.ts";
import type { CertificateFiles } from "./certificate.ts";
import { readCertificate } from "./certificate.ts";
import type { Tls } from "./tls.ts";
import { openTls } from "./tls.ts";

const DAY_MS = 24 * 3_600_000;
const NOW = Date.now();

let directory: string;
let files: CertificateFiles;
let pair: TestCertificate;
let opened: Tls[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-tls-"));
  pair = makeCertificate();
  files = await writeCertificate(directory, pair);
  opened = [];
});
afterEach(async () => {
  for (const tls of opened) tls.close();
  await rm(directory, { recursive: true });
});

async function faultsOf(): Promise<readonly Fault[]> {
  const error: unknown = await readCertificate(files).then(
    () => new Error("the certificate was accepted"),
    (reason: unknown) => reason,
  );
  const { code, details, message } = error as FederatedError;
  expect(code, String(error)).toBe("CONFIG_INVALID");
  // Nothing of a key is ever repeated.
  for (const line of pair.key.split("\n").filter((part) => part.length > 30)) {
    expect(message).not.toContain(line);
  }
  return details?.faults as Fault[];
}

/** The part under test, with a clock that the test moves and a log that it reads. */
async function open() {
  const logged: { level: string; message: string }[] = [];
  const note = (level: string) => (_fields: object, message: string) =>
    void logged.push({ level, message });
  let now = NOW;
  let alarm: (() => void) | undefined;
  const served: SecureContextOptions[] = [];
  const tls = await openTls(files, {
    clock: {
      now: () => now,
      after: (_delayMs, run) => {
        alarm = run;
        return { cancel: () => (alarm = undefined) };
      },
    },
    logger: {
      debug: note("debug"),
      info: note("info"),
      warn: note("warn"),
      error: note("error"),
    },
  });
  opened.push(tls);
  tls.serve({ setSecureContext: (options) => void served.push(options) });
  return {
    tls,
    logged,
    served,
    isWatching: () => alarm !== undefined,
    /** Lets the files be looked at once, `ms` later; resolves when that is done. */
    look: async (ms = 0) => {
      now += ms;
      const run = alarm!;
      alarm = undefined;
      run();
      await expect.poll(() => alarm !== undefined).toBe(true);
    },
  };
}

test("[NET8] a certificate with its key is read, with its names and its end", async () => {
  const certificate = await readCertificate(files);
  const x509 = new X509Certificate(pair.cert);
  expect(certificate.cert.toString()).toBe(pair.cert);
  expect(certificate.expiresAt).toBe(Date.parse(x509.validTo));
  expect(certificate.names).toBe("DNS:localhost, IP Address:127.0.0.1");
});

test("[NET8] files that are not there are all named", async () => {
  await rm(files.certificateFile);
  await rm(files.keyFile);
  const faults = await faultsOf();
  expect(faults.map(({ path }) => path)).toEqual([
    "server.tls.certificateFile",
    "server.tls.keyFile",
  ]);
  expect(faults[0]!.message).toContain(
    `names ${files.certificateFile}, which cannot be read: ENOENT`,
  );
});

test.skipIf(process.getuid?.() === 0)("[NET8] nor are those that may not be read", async () => {
  await chmod(files.keyFile, 0);
  expect((await faultsOf())[0]!.message).toContain("which cannot be read: EACCES");
});

test.each([
  ["empty", ""],
  ["text", "no PEM at all"],
  ["cut", () => pair.cert.slice(0, 200)],
  ["the key in its place", () => pair.key],
])("[NET8] a certificate file that is none is told: %s", async (_, text) => {
  await writeFile(files.certificateFile, typeof text === "string" ? text : text());
  const faults = await faultsOf();
  expect(faults.map(({ path }) => path)).toEqual(["server.tls.certificateFile"]);
  expect(faults[0]!.message).toContain("is no certificate in PEM");
});

test("[NET8] a chain that is cut after our own certificate is told", async () => {
  const cut = pair.cert.replace(/.{40}\n-----END/, "-----END");
  await writeFile(files.certificateFile, pair.cert + cut);
  expect((await faultsOf()).map(({ path }) => path)).toEqual(["server.tls.certificateFile"]);
});

test("[NET8] a key that is none, is encrypted or belongs to another certificate is told", async () => {
  await writeFile(files.keyFile, "secret words");
  expect((await faultsOf())[0]!.message).toContain("is no private key without passphrase");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sealed = privateKey.export({
    ...{ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
  });
  await writeFile(files.keyFile, sealed);
  expect((await faultsOf())[0]!.message).toContain("is no private key without passphrase");
  await writeFile(files.keyFile, makeCertificate().key);
  expect(await faultsOf()).toEqual([
    {
      path: "server.tls.keyFile",
      message: `names ${files.keyFile}, which is not the key of the first certificate in ${files.certificateFile}`,
    },
  ]);
});

test("[NET9] renewed files are taken up, also by a reload that is asked for, and only when they changed", async () => {
  const { tls, served, look, logged } = await open();
  expect(served).toHaveLength(1);
  await look();
  await look();
  expect(served).toHaveLength(1);

  const renewed = makeCertificate();
  await writeCertificate(directory, renewed);
  await look();
  expect(served.at(-1)).toMatchObject({ minVersion: "TLSv1.2" });
  expect(String(served.at(-1)!.cert)).toBe(renewed.cert);
  expect(tls.context.key).toEqual(Buffer.from(renewed.key));
  expect(logged).toEqual([{ level: "info", message: "TLS certificate loaded" }]);

  const again = makeCertificate();
  await writeCertificate(directory, again);
  await tls.reload();
  expect(String(served.at(-1)!.cert)).toBe(again.cert);
  const count = served.length;
  await look();
  expect(served).toHaveLength(count);
});

test("[NET9] a link that is turned to other files is noticed", async () => {
  const linked = { certificateFile: join(directory, "live"), keyFile: join(directory, "live.key") };
  await symlink(files.certificateFile, linked.certificateFile);
  await symlink(files.keyFile, linked.keyFile);
  const renewed = makeCertificate();
  const archived = await writeCertificate(directory, renewed, "renewed");
  files = linked;
  const { served, look } = await open();
  for (const [target, link] of [
    [archived.certificateFile, linked.certificateFile],
    [archived.keyFile, linked.keyFile],
  ] as const) {
    await symlink(target, `${link}.new`);
    await rename(`${link}.new`, link);
  }
  await look();
  expect(String(served.at(-1)!.cert)).toBe(renewed.cert);
});

test("[NET9] broken new files are an error in the log, and the old ones stay in force until they are mended", async () => {
  const { tls, served, look, logged } = await open();
  const renewed = makeCertificate();
  await writeFile(files.certificateFile, renewed.cert);
  await look();
  expect(logged).toEqual([
    { level: "error", message: "the new TLS certificate is no good; the old one stays in force" },
  ]);
  await expect(tls.reload()).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  expect(served).toHaveLength(1);
  expect(String(tls.context.cert)).toBe(pair.cert);
  await writeFile(files.keyFile, renewed.key);
  await look();
  expect(String(served.at(-1)!.cert)).toBe(renewed.cert);
});

test("[NET10] a certificate that ends within 14 days is warned about once a day, then is an error", async () => {
  files = await writeCertificate(
    directory,
    makeCertificate({ expiresAt: new Date(NOW + 20 * DAY_MS) }),
  );
  const { tls, logged, look } = await open();
  expect(Math.round(tls.secondsUntilExpiry() / 86_400)).toBe(20);
  await look(5 * DAY_MS);
  expect(logged).toEqual([]);
  await look(2 * DAY_MS);
  await look();
  const warning = {
    level: "warn",
    message: "the TLS certificate expires soon and was not renewed",
  };
  expect(logged).toEqual([warning]);
  await look(DAY_MS);
  expect(logged).toEqual([warning, warning]);
  await look(13 * DAY_MS);
  expect(logged.at(-1)).toEqual({
    level: "error",
    message: "the TLS certificate has expired: clients refuse it",
  });
  expect(tls.secondsUntilExpiry()).toBeLessThan(0);
  await writeCertificate(directory, makeCertificate({ expiresAt: new Date(NOW + 99 * DAY_MS) }));
  await look();
  expect(logged.at(-1)!.level).toBe("info");
  expect(tls.secondsUntilExpiry()).toBeGreaterThan(0);
});

test("[NET9] nothing is looked at any more after the end", async () => {
  const { tls, isWatching } = await open();
  expect(isWatching()).toBe(true);
  tls.close();
  expect(isWatching()).toBe(false);
});
