/** The SQLite that this Node can offer: its own, or the package with the same API where it has none. */

export type SqliteValue = null | number | bigint | string | Uint8Array;
export type SqliteRow = Readonly<Record<string, SqliteValue>>;

export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown;
  get(...values: SqliteValue[]): SqliteRow | undefined;
  all(...values: SqliteValue[]): SqliteRow[];
}

/** The part of `node:sqlite`'s `DatabaseSync` that the store uses. */
export interface SqliteConnection {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

export interface SqliteDriver {
  readonly name: "node:sqlite" | "@photostructure/sqlite";
  /** Opens the file, and makes it where there is none; `readOnly` neither makes nor changes it. */
  connect(file: string, options?: { readonly readOnly: boolean }): SqliteConnection;
  /**
   * Copies the database, as it is at the end of the copying, into a new or empty file. In steps beside the
   * event loop where the driver can (from Node 22.16 on, and the package), else in one go that blocks.
   */
  copy(connection: SqliteConnection, file: string): Promise<void>;
}

interface SqliteModule {
  readonly DatabaseSync: new (
    file: string,
    options?: { readonly readOnly: boolean },
  ) => SqliteConnection;
  readonly backup?: (connection: never, file: string) => Promise<unknown>;
}

/**
 * `node:sqlite` from Node 22.13 on, where it needs no flag; before that the package, which is loaded only
 * then: it is a native library.
 */
export async function loadSqliteDriver(): Promise<SqliteDriver> {
  const builtin = process.getBuiltinModule("node:sqlite") as SqliteModule | undefined;
  if (builtin !== undefined) return driver("node:sqlite", builtin);
  return driver("@photostructure/sqlite", await import("@photostructure/sqlite"));
}

const driver = (
  name: SqliteDriver["name"],
  { DatabaseSync, backup }: SqliteModule,
): SqliteDriver => ({
  name,
  connect: (file, options = { readOnly: false }) => new DatabaseSync(file, options),
  copy: async (connection, file) => {
    if (backup === undefined) {
      connection.prepare("VACUUM INTO ?").run(file);
      return;
    }
    for (let attempt = 1; ; attempt++) {
      try {
        await backup(connection as never, file);
        return;
      } catch (error) {
        if (!isMidCommit(error) || attempt === MOST_ATTEMPTS) throw error;
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  },
});

/** Each lasts no longer than a commit; this many in a row mean something else. */
const MOST_ATTEMPTS = 100;

/** `node:sqlite` gives up, with "not an error", when a copy's first step meets a commit half-way. */
const isMidCommit = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && error.errcode === 0;
