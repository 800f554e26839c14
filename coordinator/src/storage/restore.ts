/** A backup becomes the data of a coordinator: checked first, and the database last of all. */

import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { FederatedError } from "@tributary/protocol";

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
  if (await exists(file)) {
    const message = `${file} is there already; name another directory, or move the old data away first`;
    throw new FederatedError("CONFIG_INVALID", message);
  }
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
  await copyBlobFolder(join(from, BLOB_FOLDER), join(to, BLOB_FOLDER));
  // Under another name until it is whole: a coordinator that starts meanwhile finds nothing to go on from.
  const aside = `${file}.restoring`;
  await rm(aside, { force: true });
  await copyFileDurably(join(from, STORE_FILE), aside);
  try {
    await using store = await createSqliteStore({
      file: aside,
      ...(options.keys === undefined ? {} : { keys: options.keys }),
    });
    await goOnFromBackup(store, logger, options);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFile(aside);
  await rename(aside, file);
  await syncDirectory(to);
  return report;
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
