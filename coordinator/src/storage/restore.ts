/** A backup becomes the data of a coordinator: checked first, and the database last of all. */

import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { systemClock } from "../clock.ts";
import type { Logger } from "../ports.ts";
import { copyFileDurably, syncFile } from "./copy-file.ts";
import { BLOB_FOLDER, makeDirectory, STORE_FILE, syncDirectory } from "./directory.ts";
import { goOnFromBackup } from "./restored.ts";
import { createSqliteStore } from "./sqlite.ts";
import type { StoreReport, VerifyOptions } from "./verify.ts";
import { verifyStore } from "./verify.ts";

export interface RestoreOptions extends Pick<VerifyOptions, "keys"> {
  /** Somebody answers for it that no private task released a model after the backup. */
  readonly acceptOlderLedger?: boolean;
}

/**
 * @param from a backup
 * @param to a directory that has no store yet
 * @returns what was found in the backup
 * @throws FederatedError CONFIG_INVALID (no backup, data in the way, a private task at risk), INTERNAL (the
 * backup is damaged), UNAVAILABLE (the disk fails)
 */
export async function restoreBackup(
  { from, to, logger }: { from: string; to: string; logger: Pick<Logger, "warn"> },
  options: RestoreOptions = {},
): Promise<StoreReport> {
  const file = join(to, STORE_FILE);
  const aside = `${file}.restoring`;
  await assertNothingInTheWay(to, aside);
  const report = await verifyStore(from, options);
  const [first] = report.faults;
  if (first !== undefined) {
    throw new FederatedError(
      "INTERNAL",
      `the backup ${from} is damaged (${report.faults.length} faults, the first: ${first.where} ${first.message}); take another one`,
    );
  }
  if (report.backupTakenAt === undefined) {
    const message = `${from} is no backup but a coordinator's own data; start one on it, or on a copy`;
    throw new FederatedError("CONFIG_INVALID", message);
  }
  // Under another name until it is whole: a coordinator that starts meanwhile finds nothing to go on from.
  // There from the beginning: whose checkpoints these are must be known when this is cut off.
  const removeHalf = async () => {
    for (const part of ["", ...LOGS]) await rm(`${aside}${part}`, { force: true });
    await rm(join(to, BLOB_FOLDER), { recursive: true, force: true });
  };
  try {
    await makeDirectory(to);
    await removeHalf();
    await writeFile(aside, "");
    await syncDirectory(to);
    await copyBlobFolder(join(from, BLOB_FOLDER), join(to, BLOB_FOLDER));
    await copyFileDurably(join(from, STORE_FILE), aside);
    {
      await using store = await createSqliteStore({
        file: aside,
        ...(options.keys === undefined ? {} : { keys: options.keys }),
      });
      await goOnFromBackup({ store, logger, clock: systemClock }, options);
    }
    await syncFile(aside);
  } catch (error) {
    await removeHalf();
    if (isFederatedError(error)) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    const message = `${to} cannot be written: ${code}; make room there, or name another directory`;
    throw new FederatedError("UNAVAILABLE", message, { cause: error });
  }
  await rename(aside, file);
  await syncDirectory(to);
  return report;
}

/** What SQLite keeps beside its file. A log goes with the file of its name, whichever that is by then. */
const LOGS = ["-wal", "-shm", "-journal"] as const;

/**
 * Nothing of other data may be left: a log would become part of the database, and checkpoints under another
 * key would stay among these. What a restore that was cut off has left is no other data.
 */
async function assertNothingInTheWay(to: string, aside: string): Promise<void> {
  const wasCutOff = await exists(aside);
  const names = ["", ...LOGS].map((part) => `${STORE_FILE}${part}`);
  for (const name of wasCutOff ? names : [...names, BLOB_FOLDER]) {
    const found = join(to, name);
    if (!(await exists(found))) continue;
    const message = `${found} is there already; name another directory, or move all of the old data away first`;
    throw new FederatedError("CONFIG_INVALID", message);
  }
}

async function copyBlobFolder(from: string, to: string): Promise<void> {
  await makeDirectory(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isFile()) await copyFileDurably(source, target);
    if (!entry.isDirectory()) continue;
    await mkdir(target, { recursive: true });
    for (const name of await readdir(source)) {
      await copyFileDurably(join(source, name), join(target, name));
    }
    await syncDirectory(target);
  }
  await syncDirectory(to);
}

const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  );
