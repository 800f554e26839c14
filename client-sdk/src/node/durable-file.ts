/** Files that are either whole or not there, whatever happens while they are written. */

import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

async function writeBeside(
  path: string,
  bytes: Uint8Array | string,
  mode: number,
): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}.tmp`;
  const file = await open(draft, "wx", mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return draft;
}

/** Makes the names in a directory durable; where directories cannot be opened (Windows) they need it not. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Writes or replaces a file: on disk, name included, when it resolves. */
export async function writeDurably(
  path: string,
  bytes: Uint8Array | string,
  mode = 0o644,
): Promise<void> {
  const draft = await writeBeside(path, bytes, mode);
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Writes a file that must not exist yet. @returns false when it does: it is left as it is */
export async function createDurably(
  path: string,
  bytes: Uint8Array | string,
  mode: number,
): Promise<boolean> {
  const draft = await writeBeside(path, bytes, mode);
  try {
    await link(draft, path);
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dirname(path));
  return true;
}

/** Deletes what writers of this file left that were killed; one that is still at it fails. */
export async function removeDrafts(path: string): Promise<void> {
  const directory = dirname(path);
  const names = await readdir(directory).catch((error: unknown) => {
    if (isCode(error, "ENOENT")) return [];
    throw error;
  });
  for (const name of names) {
    const isDraft = name.startsWith(`${basename(path)}.`) && name.endsWith(".tmp");
    if (isDraft) await rm(join(directory, name), { force: true });
  }
}

/** Is this a system error with the code, such as ENOENT? */
export const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;
