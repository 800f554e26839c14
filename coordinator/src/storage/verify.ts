/** Is everything in a data directory as it must be? Looks at every record and every byte, and changes none. */

import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { AuditEntry, Digest, RoundId, TaskId } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";

import { blobsOf } from "../model/version-blobs.ts";
import type { LedgerEvent, TaskRecord } from "../ports.ts";
import { EMPTY_HEAD, faultOf, headOf } from "./audit-chain.ts";
import { BLOB_FOLDER } from "./directory.ts";
import { lookAside } from "./look-aside.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { createSqliteRows } from "./sqlite.ts";
import type { Rows } from "./store.ts";
import { tasksAtRisk } from "./restored.ts";
import type { KeyRing } from "./seal.ts";
import { listBlobs } from "./sealed-blobs.ts";
import { decoderFor, faultsOfBytes } from "./verify-blobs.ts";
import { faultsOfKeys } from "./verify-keys.ts";
import { faultsOfNoise } from "./verify-noise.ts";
import type { Fault } from "./verify-task.ts";
import { faultOfCharge, faultsOfTask, reasonOf } from "./verify-task.ts";

export interface StoreReport {
  readonly directory: string;
  readonly checked: {
    readonly tasks: number;
    readonly rounds: number;
    readonly modelVersions: number;
    readonly charges: number;
    readonly auditEntries: number;
    readonly blobs: number;
  };
  readonly faults: readonly Fault[];
  /** Files that nothing refers to, of rounds that came to nothing: harmless. */
  readonly orphans: readonly Digest[];
  /** Set where the directory is a backup. */
  readonly backupTakenAt?: string;
  /** Tasks whose budget is at risk when a coordinator goes on from this backup. */
  readonly privateTasks: readonly TaskId[];
}

export interface VerifyOptions {
  /** Of files that are encrypted. */
  readonly keys?: KeyRing;
  /** Deletes what nothing refers to; only where there is no fault at all. */
  readonly removeOrphans?: boolean;
}

/**
 * @param directory a stopped coordinator's data, or a backup
 * @throws FederatedError CONFIG_INVALID (no store there, or a newer version's), UNAVAILABLE (in use)
 */
export async function verifyStore(
  directory: string,
  options: VerifyOptions = {},
): Promise<StoreReport> {
  const blobDirectory = join(directory, BLOB_FOLDER);
  const found = await listBlobs(blobDirectory);
  const nothing = { tasks: 0, rounds: 0, modelVersions: 0, charges: 0, auditEntries: 0, blobs: 0 };
  let aside;
  try {
    aside = await lookAside(directory, { mayBeNew: found.length === 0 });
  } catch (error) {
    if (!isFederatedError(error) || error.code !== "INTERNAL") throw error;
    const faults = [{ where: "database", message: reasonOf(error) }];
    return { directory, checked: nothing, faults, orphans: [], privateTasks: [] };
  }
  await using looked = aside;
  const { database } = looked;
  const faults = faultsOfFile(database);
  const decode = decoderFor(options.keys);
  try {
    const rows = createSqliteRows(database);
    const history = readHistory(database, rows, faults);
    for (const records of history) faults.push(...faultsOfTask(records));
    readByIndex(rows, history);
    for (const records of history) {
      faults.push(...(await faultsOfNoise(rows, records, options.keys)));
    }
    const referenced = new Set<Digest>();
    for (const { task, versions } of history) {
      for (const version of versions.values()) {
        faults.push(...(await faultsOfBytes(blobDirectory, task, version, decode)));
        for (const blob of blobsOf(version)) referenced.add(blob);
      }
    }
    const versions = history.flatMap((records) => [...records.versions.values()]);
    faults.push(...(await faultsOfKeys(rows.signingKeys(), versions)));
    const charges = new Map(history.flatMap(({ ledger }) => [...ledger]));
    const auditEntries = faultsOfLog(rows, charges, faults);
    const mark = database.prepare("SELECT taken_at FROM backup_mark").get();
    const orphans = found.filter((digest) => !referenced.has(digest));
    if (options.removeOrphans === true && faults.length === 0) {
      for (const digest of orphans) await rm(join(blobDirectory, digest.slice(0, 2), digest));
    }
    const sum = (count: (records: (typeof history)[number]) => number) =>
      history.reduce((total, records) => total + count(records), 0);
    return {
      directory,
      checked: {
        tasks: history.length,
        rounds: sum(({ rounds }) => rounds.size),
        modelVersions: sum(({ versions }) => versions.size),
        charges: sum(({ ledger }) => ledger.size),
        auditEntries,
        blobs: referenced.size,
      },
      faults,
      orphans,
      ...(mark === undefined
        ? {}
        : { backupTakenAt: new Date(Number(mark.taken_at)).toISOString() }),
      privateTasks: tasksAtRisk(history.map(({ task }) => task)),
    };
  } catch (error) {
    if (isFederatedError(error) && error.code === "CONFIG_INVALID") throw error;
    // A page that cannot be read: what came before it is told, what comes after it cannot be known.
    faults.push({ where: "database", message: `cannot be read to its end: ${reasonOf(error)}` });
    return { directory, checked: nothing, faults, orphans: [], privateTasks: [] };
  }
}

/** What SQLite itself finds. */
function faultsOfFile(database: SqliteDatabase): Fault[] {
  const where = "database";
  try {
    const broken = database
      .prepare("PRAGMA integrity_check(20)")
      .all()
      .map((row) => String(Object.values(row)[0]))
      .filter((line) => line !== "ok");
    const dangling = database.prepare("PRAGMA foreign_key_check").all();
    return [
      ...broken.map((line) => ({ where, message: `${line}; restore the data from a backup` })),
      ...dangling.map(({ table, parent }) => ({
        where,
        message: `a row of ${String(table)} refers to a missing one of ${String(parent)}; restore the data from a backup`,
      })),
    ];
  } catch (error) {
    return [{ where, message: `cannot be checked: ${reasonOf(error)}` }];
  }
}

/** Every record of every task; one that cannot be read is a fault, and the others are read on. */
function readHistory(database: SqliteDatabase, rows: Rows, faults: Fault[]) {
  const readEach = <Key, R>(
    keys: readonly Key[],
    name: (key: Key) => string,
    read: (key: Key) => R | undefined,
  ): Map<Key, R> => {
    const records = new Map<Key, R>();
    for (const key of keys) {
      try {
        const record = read(key);
        if (record !== undefined) records.set(key, record);
      } catch (error) {
        faults.push({ where: name(key), message: reasonOf(error) });
      }
    }
    return records;
  };
  const column = <T>(sql: string, ...values: string[]) =>
    database
      .prepare(sql)
      .all(...values)
      .map((row) => Object.values(row)[0] as T);

  const taskIds = column<TaskId>("SELECT task_id FROM tasks ORDER BY id");
  const tasks = readEach(
    taskIds,
    (id) => `task ${id}`,
    (id) => rows.task(id),
  );
  return [...tasks].map(([taskId, task]: [TaskId, TaskRecord]) => ({
    task,
    rounds: readEach(
      column<RoundId>("SELECT round_id FROM rounds WHERE task_id = ? ORDER BY id", taskId),
      (id) => `round ${id}`,
      (id) => rows.round(id),
    ),
    versions: readEach(
      column<number>(
        "SELECT model_version FROM model_versions WHERE task_id = ? ORDER BY model_version",
        taskId,
      ),
      (number) => `version ${number} of task ${taskId}`,
      (number) => rows.version(taskId, number),
    ),
    ledger: readEach(
      column<RoundId>("SELECT round_id FROM ledger WHERE task_id = ? ORDER BY id", taskId),
      (id) => `charge of round ${id}`,
      (id) => rows.ledgerEvent(id),
    ),
    dropped: rows.droppedRounds(taskId),
  }));
}

/**
 * What a start asks for by indexes. SQLite's own check takes an empty page for an empty index, whatever else
 * it is.
 */
function readByIndex(rows: Rows, history: readonly { readonly task: TaskRecord }[]): void {
  for (const { taskId } of history.map(({ task }) => task)) {
    rows.openRound(taskId);
    rows.countRounds(taskId);
    const digest = rows.latestVersion(taskId)?.digest;
    if (digest !== undefined) rows.refersTo(digest);
    rows.latestEvaluatedVersion(taskId);
  }
  rows.unsignedVersions(1);
  rows.secretNames();
}

const LOG_PAGE = 1000;

/**
 * Follows the audit log's chain to its end or its first fault, with every charge that it tells of: SQLite
 * keeps no checksums, and a digit of the ledger that has rotted is a wrong budget.
 * @returns the number of its entries
 */
function faultsOfLog(
  rows: Rows,
  charges: ReadonlyMap<RoundId, LedgerEvent>,
  faults: Fault[],
): number {
  let head = EMPTY_HEAD;
  for (;;) {
    const page: AuditEntry[] = rows.auditEntries(
      head.number === 0 ? { limit: LOG_PAGE } : { after: head.number, limit: LOG_PAGE },
    );
    for (const entry of page) {
      const fault = faultOf(head, entry);
      if (fault !== undefined) {
        faults.push({
          where: `audit entry ${head.number + 1}`,
          message: `${fault}; \`tributary audit verify\` says more`,
        });
        return head.number;
      }
      const wrong = faultOfCharge(entry, charges);
      if (wrong !== undefined) faults.push(wrong);
      head = headOf(entry);
    }
    if (page.length < LOG_PAGE) return head.number;
  }
}
