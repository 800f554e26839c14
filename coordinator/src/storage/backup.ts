/**
 * A consistent copy of the data directory, made while the coordinator runs.
 *
 * The database is copied first, then every blob that the copy names. Blobs are on disk before the database
 * names them, and none is deleted meanwhile, so the copy never names what it lacks. All of it is written
 * aside and gets its name by one rename, when everything is on disk: a crash leaves nothing that looks like
 * a backup. Blobs are copied, not linked: a disk's fault in one must not be in both.
 */

import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";

import type { Backups, BlobStore, Clock } from "../ports.ts";
import { copyFileDurably, syncFile } from "./copy-file.ts";
import { BLOB_FOLDER, isMissing, makeDirectory, STORE_FILE, syncDirectory } from "./directory.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import type { SqliteStore } from "./sqlite.ts";

export interface BackupDeps {
  readonly store: Pick<SqliteStore, "copyTo">;
  readonly blobs: Pick<BlobStore, "get">;
  /** Nothing is deleted until the returned function is called. */
  readonly holdBlobs: () => () => void;
  readonly clock: Clock;
}

/** A folder's name and nothing more: no path, no hidden file, no temporary. */
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i;
const PARTIAL = /^\.[a-z0-9._-]{1,64}\.[0-9a-f-]{36}\.partial$/i;

/**
 * @param options.from the coordinator's data directory
 * @param options.into where backups go; undefined where none was configured
 */
export function createBackups(
  deps: BackupDeps,
  options: { readonly from: string; readonly into: string | undefined },
): Backups {
  let running = false;
  return {
    create: async (name) => {
      const { into } = options;
      if (into === undefined) {
        const message =
          "storage.backupDirectory is not set; name a directory, best on another disk, and start again";
        throw new FederatedError("CONFIG_INVALID", message);
      }
      if (!NAME.test(name)) {
        const message = `${JSON.stringify(name.slice(0, 80))} is no name for a backup: it must be 1 to 64 letters, digits, ".", "_" or "-", and begin with a letter or digit`;
        throw new FederatedError("MALFORMED_MESSAGE", message);
      }
      if (running) {
        const message = "a backup is being made already; try again when it is done";
        throw new FederatedError("UNAVAILABLE", message, { retryAfterMs: 5_000 });
      }
      running = true;
      const release = deps.holdBlobs();
      try {
        return await onDisk(name, () => makeBackup(deps, options.from, into, name));
      } finally {
        release();
        running = false;
      }
    },
  };
}

async function makeBackup(
  { store, blobs, clock }: BackupDeps,
  from: string,
  into: string,
  name: string,
) {
  const startedAt = clock.monotonicMs();
  await makeDirectory(into);
  await removePartials(into);
  const final = join(into, name);
  await assertFree(final, name);
  const partial = join(into, `.${name}.${randomUUID()}.partial`);
  try {
    await mkdir(partial, { mode: 0o700 });
    const file = join(partial, STORE_FILE);
    await store.copyTo(file);
    const takenAt = clock.now();
    const digests = await sealCopy(file, takenAt);
    await syncFile(file);
    const copied = await copyBlobs(
      blobs,
      join(from, BLOB_FOLDER),
      join(partial, BLOB_FOLDER),
      digests,
    );
    await syncDirectory(partial);
    const databaseBytes = (await stat(file)).size;
    // Nobody else writes here; who made the name meanwhile keeps it, as a folder that is not empty.
    await assertFree(final, name);
    await rename(partial, final);
    await syncDirectory(into);
    const durationMs = Math.round(clock.monotonicMs() - startedAt);
    return { name, takenAt: new Date(takenAt).toISOString(), durationMs, databaseBytes, ...copied };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function assertFree(final: string, name: string): Promise<void> {
  const taken = await stat(final).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false;
      throw error;
    },
  );
  if (!taken) return;
  throw new FederatedError(
    "BACKUP_EXISTS",
    `there is a backup "${name}" already, which stays as it is; choose another name`,
  );
}

/** What a crash in mid-backup left. */
async function removePartials(into: string): Promise<void> {
  for (const name of await readdir(into)) {
    if (PARTIAL.test(name)) await rm(join(into, name), { recursive: true, force: true });
  }
}

/**
 * Marks the copy as one, so that nobody goes on from it without knowing, and makes it a single file.
 * @returns every blob that it names
 */
async function sealCopy(file: string, takenAt: number): Promise<Digest[]> {
  const connection = (await loadSqliteDriver()).connect(file);
  try {
    connection.exec("PRAGMA journal_mode = DELETE");
    connection.exec(`INSERT INTO backup_mark (id, taken_at) VALUES (1, ${takenAt})`);
    const rows = connection
      .prepare(
        `SELECT record ->> 'digest' AS digest FROM model_versions
         UNION SELECT record ->> 'optimizerState' FROM model_versions
         UNION SELECT record ->> '$.copies.bfloat16.digest' FROM model_versions
         UNION SELECT record ->> '$.copies.int8.digest' FROM model_versions`,
      )
      .all();
    return rows.flatMap(({ digest }) => (typeof digest === "string" ? [digest as Digest] : []));
  } finally {
    connection.close();
  }
}

async function copyBlobs(
  blobs: Pick<BlobStore, "get">,
  from: string,
  to: string,
  digests: readonly Digest[],
) {
  await mkdir(to, { mode: 0o700 });
  const damaged: Digest[] = [];
  let blobBytes = 0;
  for (const digest of digests) {
    if (!(await isGood(blobs, digest))) {
      damaged.push(digest);
      continue;
    }
    const folder = digest.slice(0, 2);
    await mkdir(join(to, folder), { recursive: true });
    blobBytes += await copyFileDurably(join(from, folder, digest), join(to, folder, digest));
  }
  // Whatever else the directory says of itself.
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (entry.isFile()) await copyFileDurably(join(from, entry.name), join(to, entry.name));
  }
  for (const folder of await readdir(to, { withFileTypes: true })) {
    if (folder.isDirectory()) await syncDirectory(join(to, folder.name));
  }
  await syncDirectory(to);
  return { blobs: digests.length - damaged.length, blobBytes, damaged };
}

/** A damaged blob must not keep all others from being saved; but it is told. */
async function isGood(blobs: Pick<BlobStore, "get">, digest: Digest): Promise<boolean> {
  try {
    return (await blobs.get(digest)) !== undefined;
  } catch (error) {
    if (isFederatedError(error) && error.code === "CHECKPOINT_CORRUPT") return false;
    throw error;
  }
}

/** Paths stay in the cause: the message goes out over HTTP. */
async function onDisk<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isFederatedError(error)) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new FederatedError("UNAVAILABLE", `the backup "${name}" cannot be written: ${code}`, {
      cause: error,
    });
  }
}
