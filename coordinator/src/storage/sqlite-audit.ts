/** The audit log's rows in SQLite. */

import type { AuditEntry } from "@tributary/protocol";

import type { SqliteDatabase } from "./sqlite-database.ts";
import type { SqliteRow } from "./sqlite-driver.ts";
import type { Rows } from "./store.ts";

export type AuditRows = Pick<Rows, "auditEntries" | "lastAuditEntry" | "addAuditEntry">;

const COLUMNS = "number, previous, record, hash";

export function auditRows(database: SqliteDatabase): AuditRows {
  const entries = database.prepare(
    `SELECT ${COLUMNS} FROM audit WHERE number > ? ORDER BY number LIMIT ?`,
  );
  const last = database.prepare(`SELECT ${COLUMNS} FROM audit ORDER BY number DESC LIMIT 1`);
  const add = database.prepare(`INSERT INTO audit (${COLUMNS}) VALUES (?, ?, ?, ?)`);
  return {
    // An entry that somebody numbered 0 or less must be seen, too.
    auditEntries: ({ after = Number.MIN_SAFE_INTEGER, limit }) =>
      entries.all(after, limit).map(entryOf),
    lastAuditEntry: () => last.all().map(entryOf)[0],
    addAuditEntry: ({ number, previous, record, hash }) =>
      void add.run(number, previous, record, hash),
  };
}

/** An entry's columns, as they are: whether they are right is for whoever verifies the log. */
const entryOf = (row: SqliteRow) => ({ ...row }) as unknown as AuditEntry;
