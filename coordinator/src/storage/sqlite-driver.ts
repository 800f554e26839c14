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
}

interface SqliteModule {
  readonly DatabaseSync: new (
    file: string,
    options?: { readonly readOnly: boolean },
  ) => SqliteConnection;
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

const driver = (name: SqliteDriver["name"], { DatabaseSync }: SqliteModule): SqliteDriver => ({
  name,
  connect: (file, options = { readOnly: false }) => new DatabaseSync(file, options),
});
