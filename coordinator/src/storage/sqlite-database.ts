/** One SQLite file, owned by this process alone: opened, locked, migrated, and written in transactions. */

import { open, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { FederatedError, isFederatedError } from "@tributary/protocol";

import { isMissing, makeDirectory, syncDirectory } from "./directory.ts";
import type { SqliteConnection, SqliteDriver, SqliteStatement } from "./sqlite-driver.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import { migrate, readSchemaVersion } from "./sqlite-schema.ts";

export interface SqliteDatabase {
  /** Runs `write` in a transaction that is on disk when this returns; when it throws, nothing happened. */
  transaction<T>(write: () => T): T;
  prepare(sql: string): SqliteStatement;
  /** Writes the file anew without what rows that were deleted or replaced have left in it. */
  scrub(): void;
  /** Writes a consistent copy into `file`, which must not exist. Readable by its owner alone. */
  copyTo(file: string): Promise<void>;
  close(): void;
}

export interface OpenOptions {
  /** False where there is other data that the file belongs to: that it is not there, or empty, is a loss. */
  readonly mayBeNew?: boolean;
}

/** Covers a predecessor that is just closing; once the file is ours nobody else can hold a lock on it. */
const BUSY_TIMEOUT_MS = 250;

/**
 * Opens the file for this process alone, makes it where there is none, and brings its tables up to date.
 *
 * Ownership is SQLite's exclusive lock on the file itself. The kernel drops it with the process, however
 * that ends, so no lock is ever stale. (Such a lock also falls when the same process opens and closes the
 * file by other means: nothing in the coordinator may read it but SQLite.)
 * @throws FederatedError UNAVAILABLE (in use by another process, cannot be opened or written),
 * CONFIG_INVALID (another application's file, or a newer version's), INTERNAL (damaged, or lost where it
 * may not be new)
 */
export async function openSqliteDatabase(
  file: string,
  { mayBeNew = true }: OpenOptions = {},
): Promise<SqliteDatabase> {
  const driver = await loadSqliteDriver();
  let connection: SqliteConnection | undefined;
  try {
    if (!mayBeNew) await assertThere(file);
    await makePrivateFile(file);
    connection = driver.connect(file);
    own(connection, file, mayBeNew);
    return onConnection(connection, driver);
  } catch (error) {
    if (connection !== undefined) abandon(connection);
    throw openingError(error, file);
  }
}

/**
 * Opens a file that no coordinator has open, to look at it and change nothing.
 * @throws FederatedError UNAVAILABLE (in use by another process, cannot be opened), CONFIG_INVALID (another
 * application's file, or a newer version's), INTERNAL (damaged)
 */
export async function readSqliteDatabase(
  file: string,
): Promise<SqliteDatabase & { readonly schemaVersion: number }> {
  const driver = await loadSqliteDriver();
  let connection: SqliteConnection | undefined;
  try {
    const opened = driver.connect(file, { readOnly: true });
    connection = opened;
    opened.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    const schemaVersion = readSchemaVersion(opened, file);
    return { ...onConnection(opened, driver), schemaVersion, close: () => opened.close() };
  } catch (error) {
    connection?.close();
    throw openingError(error, file);
  }
}

/** The file holds the key of the assignment tokens: it is nobody else's to read. */
async function makePrivateFile(file: string): Promise<void> {
  const directory = dirname(file);
  await makeDirectory(directory);
  try {
    await (await open(file, "wx", 0o600)).close();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
    throw error;
  }
  await syncDirectory(directory);
}

async function assertThere(file: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (found === undefined || found.size === 0) {
    throw lost(file, found === undefined ? "is missing" : "is empty");
  }
}

const lost = (file: string, what: string) =>
  new FederatedError(
    "INTERNAL",
    `${file} ${what}, and there are checkpoints beside it; restore the data from a backup, or move the checkpoints away to begin anew`,
  );

function own(connection: SqliteConnection, file: string, mayBeNew: boolean): void {
  connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  connection.exec("PRAGMA locking_mode = EXCLUSIVE");
  // Takes the lock without a write: whether the file is ours to write is known only after a look.
  const version = transact(connection, () => readSchemaVersion(connection, file), "EXCLUSIVE");
  if (version === 0 && !mayBeNew) throw lost(file, "has nothing in it");
  connection.exec("PRAGMA journal_mode = WAL");
  // A commit is an fsync of the log; `fullfsync` makes it one on macOS too.
  connection.exec("PRAGMA synchronous = FULL");
  connection.exec("PRAGMA fullfsync = ON");
  // A step that makes a table anew must not have its references looked at half-way.
  connection.exec("PRAGMA foreign_keys = OFF");
  transact(connection, () => migrate(connection, version));
  connection.exec("PRAGMA foreign_keys = ON");
  // What is deleted is overwritten where that costs no further write: a former signing key must not stay.
  connection.exec("PRAGMA secure_delete = FAST");
}

/**
 * Gives the lock back, then closes. Closing alone is not enough: with `@photostructure/sqlite` a connection
 * lives on, lock and all, until the last of its statements is garbage-collected.
 */
function giveBack(connection: SqliteConnection): void {
  try {
    // Out of WAL, as a lock that was taken before it stays until then; the log moves into the file.
    connection.exec("PRAGMA journal_mode = DELETE");
    releaseLock(connection);
  } catch (error) {
    // A full disk for one: all is safe in the log, and the next start moves it.
    if (!PASSING.has(resultCode(error) ?? 0)) throw error;
  } finally {
    // What cannot be put in order must be let go all the same.
    connection.close();
  }
}

/** Closes a file that may be somebody else's: its journal mode stays as it is. */
function abandon(connection: SqliteConnection): void {
  try {
    connection.exec("PRAGMA busy_timeout = 0");
    releaseLock(connection);
  } catch {
    // Then there was no lock, or the file is past reading: the error that brought us here says so.
  }
  connection.close();
}

function releaseLock(connection: SqliteConnection): void {
  connection.exec("PRAGMA locking_mode = NORMAL");
  // The mode changes with the next access.
  connection.exec("SELECT 1 FROM sqlite_schema");
}

function transact<T>(
  connection: SqliteConnection,
  write: () => T,
  mode: "IMMEDIATE" | "EXCLUSIVE" = "IMMEDIATE",
): T {
  connection.exec(`BEGIN ${mode}`);
  try {
    const result = write();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      connection.exec("ROLLBACK");
    } catch {
      // After a grave error, a full disk for one, SQLite has rolled back by itself.
    }
    throw error;
  }
}

/** @param connection open and owned */
export function onConnection(
  connection: SqliteConnection,
  driver?: Pick<SqliteDriver, "copy">,
): SqliteDatabase {
  return {
    copyTo: async (file) => {
      if (driver === undefined) throw new Error("this connection cannot be copied");
      try {
        await makePrivateFile(file);
        await driver.copy(connection, file);
      } catch (error) {
        throw copyingError(error);
      }
    },
    transaction: (write) => guarded(() => transact(connection, write)),
    prepare: (sql) => {
      const statement = guarded(() => connection.prepare(sql));
      return {
        run: (...values) => guarded(() => statement.run(...values)),
        get: (...values) => guarded(() => statement.get(...values)),
        all: (...values) => guarded(() => statement.all(...values)),
      };
    },
    scrub: () =>
      guarded(() => {
        connection.exec("VACUUM");
        connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      }),
    close: () => guarded(() => giveBack(connection)),
  };
}

// ------------------------------------------------------------------------------ errors

const PRIMARY_CODE = 0xff;
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** Read-only, I/O error, disk full, cannot open, busy: the world may mend while the process lives on. */
const PASSING = new Map([
  [SQLITE_BUSY, "it is locked by another process"],
  [8, "it is read-only"],
  [10, "a read or write failed"],
  [13, "the disk is full"],
  [14, "it cannot be opened"],
]);

function guarded<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw runningError(error);
  }
}

/** The driver's backup does not always say what it was that failed. */
function copyingError(error: unknown): FederatedError {
  const known = runningError(error);
  if (isFederatedError(known)) return known;
  const reason = error instanceof Error ? error.message : "unknown";
  return new FederatedError("UNAVAILABLE", `the database cannot be copied: ${reason}`, {
    cause: error,
  });
}

/** `@photostructure/sqlite` gives no code for what fails while rows are read, but SQLite's own words. */
const CODE_OF_WORDS: ReadonlyMap<string, number> = new Map([
  ["database is locked", SQLITE_BUSY],
  ["attempt to write a readonly database", 8],
  ["disk I/O error", 10],
  ["database disk image is malformed", SQLITE_CORRUPT],
  ["database or disk is full", 13],
  ["unable to open database file", 14],
  ["file is not a database", SQLITE_NOTADB],
]);

/** SQLite's result code without its extension; undefined for an error that is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (!("errcode" in error)) return CODE_OF_WORDS.get(error.message);
  return typeof error.errcode === "number" ? error.errcode & PRIMARY_CODE : undefined;
}

/** What is not the driver's passes through as it is. */
function runningError(error: unknown): unknown {
  const code = resultCode(error);
  if (code === undefined) return error;
  const cause = { cause: error };
  const passing = PASSING.get(code);
  if (passing !== undefined) {
    return new FederatedError("UNAVAILABLE", `the store cannot be used: ${passing}`, cause);
  }
  return new FederatedError("INTERNAL", `the store failed: ${faultOf(code)}`, cause);
}

function openingError(error: unknown, file: string): FederatedError {
  if (isFederatedError(error)) return error;
  const cause = { cause: error };
  const code = resultCode(error);
  if (code === SQLITE_BUSY) {
    const advice = "stop it, or give each coordinator a directory of its own";
    const message = `${file} is in use by another process; ${advice}`;
    return new FederatedError("UNAVAILABLE", message, cause);
  }
  if (code === undefined || PASSING.has(code)) {
    const fault = PASSING.get(code ?? 0) ?? (error instanceof Error ? error.message : "unknown");
    return new FederatedError("UNAVAILABLE", `${file} cannot be opened: ${fault}`, cause);
  }
  return new FederatedError("INTERNAL", `${file} cannot be opened: ${faultOf(code)}`, cause);
}

const faultOf = (code: number) =>
  code === SQLITE_CORRUPT || code === SQLITE_NOTADB
    ? "the file is damaged; restore it from a backup"
    : `SQLite's error ${code}`;
