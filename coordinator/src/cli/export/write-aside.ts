/** Files that are there whole or not at all. */

import { randomUUID } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { FederatedError } from "@tributary/protocol";

/**
 * Writes beside `file` and gives it its name when it is whole; a file of that name is replaced. The name aside is a
 * hidden one that no reader of the folder takes for an export.
 * @throws FederatedError CONFIG_INVALID where it cannot be written
 */
export async function writeAside(file: string, content: string | Uint8Array): Promise<void> {
  const aside = join(dirname(file), `.export-${randomUUID()}.part`);
  try {
    await writeFile(aside, content, { flag: "wx", flush: true });
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => undefined);
    throw unwritable(file, error);
  }
}

export function unwritable(path: string, error: unknown): FederatedError {
  const reason = error instanceof Error ? error.message : String(error);
  return new FederatedError("CONFIG_INVALID", `cannot write ${path}: ${reason}`, { cause: error });
}
