/** The audit log of a coordinator that is stopped, or of a backup: read, and nothing else. */

import { access } from "node:fs/promises";

import { FederatedError } from "@tributary/protocol";

import type { AuditLog } from "../ports.ts";
import { readSqliteDatabase } from "./sqlite-database.ts";
import { auditRows } from "./sqlite-audit.ts";

export interface AuditFile extends Pick<AuditLog, "list"> {
  close(): void;
}

/** The first version of the schema that has the log. */
const FIRST_VERSION = 2;

/** @throws FederatedError CONFIG_INVALID (no store, or none with a log), UNAVAILABLE (in use), INTERNAL */
export async function openAuditFile(file: string): Promise<AuditFile> {
  try {
    await access(file);
  } catch (error) {
    const message = `${file} is not there; name the data directory of a coordinator, or a backup of one`;
    throw new FederatedError("CONFIG_INVALID", message, { cause: error });
  }
  const database = await readSqliteDatabase(file);
  if (database.schemaVersion < FIRST_VERSION) {
    database.close();
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} has schema version ${database.schemaVersion} and no audit log: that began with version ${FIRST_VERSION}`,
    );
  }
  const rows = auditRows(database);
  return { list: async (page) => rows.auditEntries(page), close: () => database.close() };
}
