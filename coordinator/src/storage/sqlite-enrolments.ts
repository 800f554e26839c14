/** Rows of enrolment tokens in SQLite. */

import type { ClientId } from "@tributary/protocol";

import type { EnrolmentTokenRecord } from "../ports.ts";
import type { EnrolmentRows } from "./enrolments.ts";
import { encodeRecord } from "./record-json.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import type { SqliteRow } from "./sqlite-driver.ts";

/** @param record reads the record of a row */
export function createSqliteEnrolmentRows(
  database: SqliteDatabase,
  record: (row: SqliteRow | undefined) => unknown,
): EnrolmentRows {
  const sql = {
    byId: database.prepare("SELECT record FROM enrolment_tokens WHERE token_id = ?"),
    byDigest: database.prepare("SELECT record FROM enrolment_tokens WHERE digest = ?"),
    page: database.prepare(`
      SELECT id, record FROM enrolment_tokens WHERE id < ? ORDER BY id DESC LIMIT ?`),
    put: database.prepare(`
      INSERT INTO enrolment_tokens (token_id, record) VALUES (?, ?)
      ON CONFLICT (token_id) DO UPDATE SET record = excluded.record`),
    tokenOf: database.prepare(`
      SELECT record FROM enrolments JOIN enrolment_tokens ON enrolment_tokens.id = token
      WHERE client_id = ?`),
    putClient: database.prepare(`
      INSERT INTO enrolments (client_id, token)
      SELECT ?, id FROM enrolment_tokens WHERE token_id = ?
      ON CONFLICT (client_id) DO UPDATE SET token = excluded.token`),
    clientsOf: database.prepare(`
      SELECT client_id FROM enrolments JOIN enrolment_tokens ON enrolment_tokens.id = token
      WHERE token_id = ?`),
  };
  const token = (row: SqliteRow | undefined) => record(row) as EnrolmentTokenRecord | undefined;
  return {
    byId: (tokenId) => token(sql.byId.get(tokenId)),
    byDigest: (digest) => token(sql.byDigest.get(digest)),
    page: ({ before = Number.MAX_SAFE_INTEGER, limit }) =>
      sql.page.all(before, limit).map((row) => ({
        number: Number(row.id),
        token: record(row) as EnrolmentTokenRecord,
      })),
    put: (changed) => void sql.put.run(changed.tokenId, encodeRecord(changed)),
    tokenOf: (clientId) => token(sql.tokenOf.get(clientId)),
    putClient: (clientId, tokenId) => void sql.putClient.run(clientId, tokenId),
    clientsOf: (tokenId) => sql.clientsOf.all(tokenId).map((row) => row.client_id as ClientId),
  };
}
