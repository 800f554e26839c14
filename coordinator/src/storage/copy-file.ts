/** One file copied as it is, whole and durable or not there at all. */

import { randomUUID } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";

/**
 * Copies bytes as they lie on disk, so that no key is needed for what is encrypted. The name is durable once
 * the directory of `to` is synced.
 * @returns the number of bytes
 */
export async function copyFileDurably(from: string, to: string): Promise<number> {
  const bytes = await readFile(from);
  const temporary = `${to}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  return bytes.length;
}

/** Brings a file that others wrote to disk. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
