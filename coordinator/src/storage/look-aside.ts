/** Looks at a database without touching it: a copy is opened, and only where nobody is writing the original. */

import { copyFile, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { isMissing, STORE_FILE } from "./directory.ts";
import type { OpenOptions, SqliteDatabase } from "./sqlite-database.ts";
import { openSqliteDatabase } from "./sqlite-database.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";

export interface LookedAside extends AsyncDisposable {
  /** The copy, brought to the newest schema. */
  readonly database: SqliteDatabase;
}

const SQLITE_BUSY = 5;
/** A commit that a crash left in the log belongs to the database. */
const PARTS = ["", "-wal", "-journal"] as const;

/**
 * @param directory a stopped coordinator's data, or a backup
 * @throws FederatedError CONFIG_INVALID (no store there, a newer version's), UNAVAILABLE (in use), INTERNAL
 * (damaged beyond opening)
 */
export async function lookAside(
  directory: string,
  options: OpenOptions = {},
): Promise<LookedAside> {
  const file = join(directory, STORE_FILE);
  const before = await fingerprint(file);
  if (before === undefined) {
    const message = `${file} is not there; name the data directory of a coordinator, or a backup`;
    throw new FederatedError("CONFIG_INVALID", message);
  }
  if (await isInUse(file)) throw inUse(file);
  const aside = await mkdtemp(join(tmpdir(), "tributary-verify-"));
  const remove = () => rm(aside, { recursive: true, force: true });
  try {
    const copy = join(aside, STORE_FILE);
    for (const part of PARTS) {
      await copyFile(`${file}${part}`, `${copy}${part}`).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    }
    if ((await fingerprint(file)) !== before) throw inUse(file);
    const database = await openSqliteDatabase(copy, options).catch((error: unknown) => {
      if (!isFederatedError(error)) throw error;
      throw new FederatedError(error.code, error.message.replaceAll(copy, file), { cause: error });
    });
    return {
      database,
      [Symbol.asyncDispose]: async () => {
        try {
          database.close();
        } catch {
          // A damaged copy may not close well; it is thrown away in any case.
        }
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

const inUse = (file: string) =>
  new FederatedError(
    "UNAVAILABLE",
    `${file} is in use by a coordinator; verify a copy that it makes while running (\`tributary store backup NAME\`), or stop it first`,
  );

/** Changes with every write; undefined where there is no file. */
async function fingerprint(file: string): Promise<string | undefined> {
  const parts: string[] = [];
  for (const part of PARTS) {
    try {
      const { ino, size, mtimeNs } = await stat(`${file}${part}`, { bigint: true });
      parts.push(`${part} ${ino} ${size} ${mtimeNs}`);
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (part === "") return undefined;
    }
  }
  return parts.join("; ");
}

/**
 * Does another process hold the file? Asked in a way that leaves no trace: a connection that can only read
 * and wants the file for itself fails on a log before it makes any file beside it, but after it has seen
 * whether the file is locked.
 */
async function isInUse(file: string): Promise<boolean> {
  const driver = await loadSqliteDriver();
  let connection;
  try {
    connection = driver.connect(file, { readOnly: true });
    connection.exec("PRAGMA locking_mode = EXCLUSIVE");
    connection.exec("SELECT 1 FROM sqlite_schema");
  } catch (error) {
    return (
      error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY
    );
  } finally {
    connection?.close();
  }
  return false;
}
