/** Directories whose entries survive a power cut: a new name is durable once its directory is synced. */

import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** The store's file in a coordinator's data directory. */
export const STORE_FILE = "tributary.sqlite";
/** The folder of its checkpoints and optimizer states. */
export const BLOB_FOLDER = "checkpoints";

/** Is it that there is no such file? */
export const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ENOENT";

/**
 * Makes the directory with its parents; every name that is new is on disk when this resolves. What is new is
 * its owner's alone: reading a model may ask for a token, and the disk must be no way around that.
 */
export async function makeDirectory(directory: string): Promise<void> {
  const firstMade = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (firstMade === undefined) return;
  const top = dirname(resolve(firstMade));
  let made = resolve(directory);
  while (made !== top && made !== dirname(made)) {
    made = dirname(made);
    await syncDirectory(made);
  }
}

/** Brings the names in the directory to disk. */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory, and its file system journals names by itself.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Gives the file these bytes, entirely or not at all: aside, fsync, rename, fsync of the directory. A crash
 * can leave `<file>.<uuid>.tmp`.
 */
export async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(file));
}
