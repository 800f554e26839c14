/** The certificate of a running listener: renewed in place, watched for its end. */

import { stat } from "node:fs/promises";
import type { SecureContextOptions } from "node:tls";

import type { Clock, Logger, Timer } from "../ports.ts";
import type { Certificate, CertificateFiles } from "./certificate.ts";
import { MIN_TLS_VERSION, readCertificate } from "./certificate.ts";

/**
 * The files are looked at so often. By their state and not by file events: renewals swap a link or a
 * whole folder (certbot, Kubernetes), which watchers of a file do not see. Two calls of stat cost nothing.
 */
const LOOK_MS = 30_000;
/** A renewal is due 30 days ahead; with 14 left it has failed for two weeks. */
const WARN_BEFORE_MS = 14 * 24 * 3_600_000;
const WARN_EVERY_MS = 24 * 3_600_000;

/** What `https.Server` and `tls.Server` have. */
export interface SecureServer {
  setSecureContext(options: SecureContextOptions): void;
}

export interface Tls {
  /** For the server that is about to be made. */
  readonly context: SecureContextOptions;
  /** Keeps this server at the newest certificate from now on. */
  serve(server: SecureServer): void;
  /**
   * Reads the files again: new connections get what they hold, open ones live on.
   * @throws FederatedError CONFIG_INVALID when they are no good; what was in force stays in force
   */
  reload(): Promise<void>;
  /** Negative once it has expired. */
  secondsUntilExpiry(): number;
  close(): void;
}

/** @throws FederatedError CONFIG_INVALID */
export async function openTls(
  files: CertificateFiles,
  { clock, logger }: { readonly clock: Pick<Clock, "now" | "after">; readonly logger: Logger },
): Promise<Tls> {
  let stamp = await stampOf(files);
  let current = await readCertificate(files);
  let server: SecureServer | undefined;
  let warnedAt = -Infinity;
  let timer: Timer | undefined;
  let closed = false;
  /** Reloads one after the other, so that the last one asked for wins. */
  let last: Promise<void> = Promise.resolve();

  const context = ({ cert, key }: Certificate): SecureContextOptions => ({
    cert,
    key,
    minVersion: MIN_TLS_VERSION,
  });

  function warnOfExpiry(): void {
    const left = current.expiresAt - clock.now();
    if (left > WARN_BEFORE_MS || clock.now() - warnedAt < WARN_EVERY_MS) return;
    warnedAt = clock.now();
    const fields = { ...files, names: current.names, expiresAt: written(current.expiresAt) };
    if (left > 0) logger.warn(fields, "the TLS certificate expires soon and was not renewed");
    else logger.error(fields, "the TLS certificate has expired: clients refuse it");
  }

  async function load(): Promise<void> {
    // Before reading: what changes while it is read is read again at the next look.
    stamp = await stampOf(files);
    try {
      const renewed = await readCertificate(files);
      server?.setSecureContext(context(renewed));
      current = renewed;
    } catch (error) {
      logger.error({ error }, "the new TLS certificate is no good; the old one stays in force");
      throw error;
    }
    const { names, fingerprint, expiresAt } = current;
    const fields = { names, fingerprint, expiresAt: written(expiresAt) };
    logger.info(fields, "TLS certificate loaded");
    warnedAt = -Infinity;
    warnOfExpiry();
  }

  const reload = (): Promise<void> => {
    const next = last.then(load);
    last = next.catch(() => {});
    return next;
  };

  async function look(): Promise<void> {
    if ((await stampOf(files)) !== stamp) await reload().catch(() => {});
    warnOfExpiry();
  }

  function lookLater(): void {
    if (closed) return;
    timer = clock.after(LOOK_MS, () => {
      look()
        .catch((error: unknown) => logger.error({ error }, "the TLS files cannot be looked at"))
        .finally(lookLater);
    });
  }

  warnOfExpiry();
  lookLater();
  return {
    get context() {
      return context(current);
    },
    serve: (served) => {
      server = served;
      served.setSecureContext(context(current));
    },
    reload,
    secondsUntilExpiry: () => (current.expiresAt - clock.now()) / 1000,
    close: () => {
      closed = true;
      timer?.cancel();
    },
  };
}

const written = (at: number): string => new Date(at).toISOString();

/** Changes whenever one of the files does, also by its link; a missing file has a stamp, too. */
async function stampOf({ certificateFile, keyFile }: CertificateFiles): Promise<string> {
  const stamps = [certificateFile, keyFile].map(async (file) => {
    try {
      const { mtimeNs, size, ino, dev } = await stat(file, { bigint: true });
      return `${dev} ${ino} ${size} ${mtimeNs}`;
    } catch {
      return "missing";
    }
  });
  return (await Promise.all(stamps)).join(", ");
}
