/** The durable store: one SQLite file, WAL, `synchronous = FULL`. Calls block for as long as the disk does. */

import type { ClientId, KeyRecord, TaskId } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import { systemClock } from "../clock.ts";
import type {
  Instant,
  ModelVersionRecord,
  EndedRoundRecord,
  OpenRoundRecord,
  RoundRecord,
  Store,
  TaskRecord,
  UnsignedVersion,
} from "../ports.ts";
import { ledgerEventOf } from "./charge-record.ts";
import { auditRows } from "./sqlite-audit.ts";
import { decodeRecord, encodeRecord } from "./record-json.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { openSqliteDatabase } from "./sqlite-database.ts";
import { createSqliteEnrolmentRows } from "./sqlite-enrolments.ts";
import type { SqliteRow } from "./sqlite-driver.ts";
import type { Rows } from "./store.ts";
import type { KeyRing } from "./seal.ts";
import { assertKeys, sealSecrets } from "./sealed-secrets.ts";
import { createStore } from "./store.ts";

/**
 * Opens the store in `file`, alone: a second coordinator on the same file is refused until this one has
 * closed or died.
 * @throws FederatedError UNAVAILABLE (in use, cannot be opened), CONFIG_INVALID (another application's
 * file, or a newer version's; encrypted with a key that is not at hand), INTERNAL (damaged)
 */
export async function createSqliteStore(options: {
  readonly file: string;
  /** The system's clock when absent. */
  readonly now?: () => Instant;
  /** Secrets are sealed with the current key. */
  readonly keys?: KeyRing;
  /** See `OpenOptions`. */
  readonly mayBeNew?: boolean;
  /** Throws where the keys do not open everything: then nothing is brought under the current one. */
  readonly beforeSealing?: () => Promise<void>;
}): Promise<SqliteStore> {
  const { file, now = systemClock.now, keys, mayBeNew = true, beforeSealing } = options;
  const database = await openSqliteDatabase(file, { mayBeNew });
  try {
    assertKeys(createSqliteRows(database), keys, file);
    await beforeSealing?.();
    const rows = sealSecrets(createSqliteRows(database), keys, { file, scrub: database.scrub });
    const mark = database.prepare("SELECT taken_at FROM backup_mark").get();
    return {
      ...createStore(rows, now),
      copyTo: (copy) => database.copyTo(copy),
      ...(mark === undefined ? {} : { backupTakenAt: Number(mark.taken_at) }),
      acceptBackup: async () => {
        database.transaction(() => database.prepare("DELETE FROM backup_mark").run());
      },
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

export interface SqliteStore extends Store {
  /** A consistent copy of the file as it is when the copying ends; `copy` must not exist. */
  copyTo(copy: string): Promise<void>;
  /** Set where the file is a backup from which nobody has gone on yet: the instant it was taken. */
  readonly backupTakenAt?: Instant;
  /** From now on the file is a store like any other. */
  acceptBackup(): Promise<void>;
}

/** Above every number that a round or version can have. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

export function createSqliteRows(database: SqliteDatabase): Rows {
  const sql = {
    task: database.prepare("SELECT record FROM tasks WHERE task_id = ?"),
    tasks: database.prepare("SELECT record FROM tasks ORDER BY id"),
    putTask: database.prepare(`
      INSERT INTO tasks (task_id, record) VALUES (?, ?)
      ON CONFLICT (task_id) DO UPDATE SET record = excluded.record`),

    version: database.prepare(
      "SELECT record FROM model_versions WHERE task_id = ? AND model_version = ?",
    ),
    versions: database.prepare(`
      SELECT record FROM model_versions WHERE task_id = ? AND model_version < ?
      ORDER BY model_version DESC LIMIT ?`),
    latestEvaluatedVersion: database.prepare(`
      SELECT record FROM model_versions WHERE task_id = ? AND evaluated
      ORDER BY model_version DESC LIMIT 1`),
    putVersion: database.prepare(`
      INSERT INTO model_versions (task_id, model_version, record) VALUES (?, ?, ?)
      ON CONFLICT (task_id, model_version) DO UPDATE SET record = excluded.record`),

    round: database.prepare("SELECT record FROM rounds WHERE round_id = ?"),
    openRound: database.prepare("SELECT record, cohort FROM rounds WHERE task_id = ? AND is_open"),
    rounds: database.prepare(`
      SELECT record FROM rounds WHERE task_id = ? AND round_number < ?
      ORDER BY round_number DESC LIMIT ?`),
    endedRounds: database.prepare(`
      SELECT record FROM rounds WHERE task_id = ? AND round_number > ? AND NOT is_open
      ORDER BY round_number LIMIT ?`),
    countRounds: database.prepare(`
      SELECT count(*) FILTER (WHERE phase = 'committed') AS committed,
             count(*) FILTER (WHERE phase = 'abandoned') AS abandoned
      FROM rounds WHERE task_id = ?`),
    lastRound: database.prepare("SELECT max(round_number) AS last FROM rounds WHERE task_id = ?"),
    droppedRounds: database.prepare(
      "SELECT committed, abandoned, up_to FROM dropped_rounds WHERE task_id = ?",
    ),
    // The open round is never among them.
    oldRounds: database.prepare(`
      SELECT id, round_number, phase FROM rounds
      WHERE task_id = ? AND round_number <= ? AND NOT is_open ORDER BY round_number LIMIT ?`),
    dropReports: database.prepare(
      "DELETE FROM reports WHERE round IN (SELECT value FROM json_each(?))",
    ),
    dropRounds: database.prepare("DELETE FROM rounds WHERE id IN (SELECT value FROM json_each(?))"),
    countDropped: database.prepare(`
      INSERT INTO dropped_rounds (task_id, committed, abandoned, up_to) VALUES (?, ?, ?, ?)
      ON CONFLICT (task_id) DO UPDATE SET committed = committed + excluded.committed,
        abandoned = abandoned + excluded.abandoned, up_to = excluded.up_to`),
    oldVersions: database.prepare(`
      SELECT id, record FROM model_versions WHERE task_id = ? AND model_version <= ?
      ORDER BY model_version LIMIT ?`),
    dropVersions: database.prepare(
      "DELETE FROM model_versions WHERE id IN (SELECT value FROM json_each(?))",
    ),
    refersTo: database.prepare(`
      SELECT 1 AS found FROM model_versions WHERE record ->> 'digest' = ?1
      UNION ALL SELECT 1 FROM model_versions WHERE record ->> 'optimizerState' = ?1
      UNION ALL SELECT 1 FROM model_versions WHERE record ->> '$.copies.bfloat16.digest' = ?1
      UNION ALL SELECT 1 FROM model_versions WHERE record ->> '$.copies.int8.digest' = ?1 LIMIT 1`),
    putRound: database.prepare(`
      INSERT INTO rounds (round_id, task_id, round_number, base_model_version, record, cohort)
      VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (round_id) DO UPDATE SET record = excluded.record,
        cohort = CASE WHEN excluded.is_open THEN coalesce(excluded.cohort, cohort) END`),
    addReports: database.prepare(`
      INSERT INTO reports (round, client_id)
      SELECT DISTINCT rounds.id, value FROM rounds, json_each(?) WHERE round_id = ?`),
    hasReport: database.prepare(`
      SELECT 1 AS found FROM reports JOIN rounds ON rounds.id = round
      WHERE round_id = ? AND client_id = ?`),

    dailyPlaces: database.prepare(
      "SELECT day, places FROM daily_places WHERE task_id = ? AND client_id = ?",
    ),
    putDailyPlaces: database.prepare(`
      INSERT INTO daily_places (task_id, client_id, day, places) VALUES (?, ?, ?, ?)
      ON CONFLICT (task_id, client_id) DO UPDATE SET day = excluded.day, places = excluded.places`),

    participation: database.prepare(
      "SELECT last_step, count FROM participations WHERE task_id = ? AND client_id = ?",
    ),
    putParticipation: database.prepare(`
      INSERT INTO participations (task_id, client_id, last_step, count) VALUES (?, ?, ?, ?)
      ON CONFLICT (task_id, client_id) DO UPDATE SET last_step = excluded.last_step,
        count = excluded.count`),

    ledgerEvent: database.prepare("SELECT record FROM ledger WHERE round_id = ?"),
    ledgerEvents: database.prepare("SELECT record FROM ledger WHERE task_id = ? ORDER BY id"),
    putLedgerEvent: database.prepare(`
      INSERT INTO ledger (round_id, task_id, record) VALUES (?, ?, ?)
      ON CONFLICT (round_id) DO UPDATE SET record = excluded.record`),

    unsignedVersions: database.prepare(
      "SELECT record FROM model_versions WHERE NOT is_signed ORDER BY task_id, model_version LIMIT ?",
    ),
    signingKeys: database.prepare("SELECT record FROM signing_keys ORDER BY id"),
    putSigningKey: database.prepare("INSERT INTO signing_keys (record) VALUES (?)"),

    secretNames: database.prepare("SELECT name FROM secrets ORDER BY name"),
    secret: database.prepare("SELECT value FROM secrets WHERE name = ?"),
    putSecret: database.prepare("INSERT INTO secrets (name, value) VALUES (?, ?)"),
    removeSecret: database.prepare("DELETE FROM secrets WHERE name = ?"),

    probe: database.prepare(`
      INSERT INTO probe (id, count) VALUES (1, 1)
      ON CONFLICT (id) DO UPDATE SET count = count + 1`),
  };

  const droppedRounds = (taskId: TaskId) => {
    const row = sql.droppedRounds.get(taskId);
    return {
      committed: Number(row?.committed ?? 0),
      abandoned: Number(row?.abandoned ?? 0),
      upTo: Number(row?.up_to ?? 0),
    };
  };

  return {
    transaction: database.transaction,

    task: (taskId) => record(sql.task.get(taskId)) as TaskRecord | undefined,
    tasks: () => sql.tasks.all().map(record) as TaskRecord[],
    putTask: (task) => void sql.putTask.run(task.taskId, encodeRecord(task)),

    version: (taskId, modelVersion) =>
      record(sql.version.get(taskId, modelVersion)) as ModelVersionRecord | undefined,
    latestVersion: (taskId) =>
      record(sql.versions.get(taskId, NO_LIMIT, 1)) as ModelVersionRecord | undefined,
    latestEvaluatedVersion: (taskId) =>
      record(sql.latestEvaluatedVersion.get(taskId)) as ModelVersionRecord | undefined,
    versions: (taskId, { before = NO_LIMIT, limit }) =>
      sql.versions.all(taskId, before, limit).map(record) as ModelVersionRecord[],
    putVersion: (version) =>
      void sql.putVersion.run(version.taskId, version.modelVersion, encodeRecord(version)),

    round: (roundId) => record(sql.round.get(roundId)) as RoundRecord | undefined,
    openRound: (taskId) => {
      const row = sql.openRound.get(taskId);
      if (row === undefined) return undefined;
      const cohort = typeof row.cohort === "string" ? decodeRecord(row.cohort) : [];
      return { round: record(row) as OpenRoundRecord, cohort: cohort as ClientId[] };
    },
    rounds: (taskId, { before = NO_LIMIT, limit }) =>
      sql.rounds.all(taskId, before, limit).map(record) as RoundRecord[],
    endedRounds: (taskId, { after, limit }) =>
      sql.endedRounds.all(taskId, after, limit).map(record) as EndedRoundRecord[],
    countRounds: (taskId) => {
      const row = sql.countRounds.get(taskId);
      const { last } = sql.lastRound.get(taskId) ?? {};
      const dropped = droppedRounds(taskId);
      return {
        committed: Number(row?.committed) + dropped.committed,
        abandoned: Number(row?.abandoned) + dropped.abandoned,
        last: Math.max(Number(last), dropped.upTo),
      };
    },
    droppedRounds,
    dropRounds: (taskId, upTo, limit) => {
      const old = sql.oldRounds.all(taskId, upTo, limit);
      const newest = old.at(-1);
      if (newest === undefined) return 0;
      const ids = JSON.stringify(old.map(({ id }) => Number(id)));
      const committed = old.filter(({ phase }) => phase === "committed").length;
      sql.dropReports.run(ids);
      sql.dropRounds.run(ids);
      sql.countDropped.run(taskId, committed, old.length - committed, Number(newest.round_number));
      return old.length;
    },
    dropVersions: (taskId, upTo, limit) => {
      const old = sql.oldVersions.all(taskId, upTo, limit);
      if (old.length > 0) sql.dropVersions.run(JSON.stringify(old.map(({ id }) => Number(id))));
      return old.map(record) as ModelVersionRecord[];
    },
    refersTo: (digest) => sql.refersTo.get(digest) !== undefined,
    putRound: (round, cohort) =>
      void sql.putRound.run(
        round.roundId,
        round.taskId,
        round.roundNumber,
        round.baseModelVersion,
        encodeRecord(round),
        cohort === undefined ? null : JSON.stringify(cohort),
      ),
    addReports: (roundId, clientIds) => void sql.addReports.run(JSON.stringify(clientIds), roundId),
    hasReport: (roundId, clientId) => sql.hasReport.get(roundId, clientId) !== undefined,

    dailyPlaces: (taskId, clientId) => {
      const row = sql.dailyPlaces.get(taskId, clientId);
      return row && { day: Number(row.day), places: Number(row.places) };
    },
    putDailyPlaces: (taskId, clientId, { day, places }) =>
      void sql.putDailyPlaces.run(taskId, clientId, day, places),

    participation: (taskId, clientId) => {
      const row = sql.participation.get(taskId, clientId);
      return row && { lastStep: Number(row.last_step), count: Number(row.count) };
    },
    putParticipation: (taskId, clientId, { lastStep, count }) =>
      void sql.putParticipation.run(taskId, clientId, lastStep, count),

    ledgerEvent: (roundId) => {
      const row = sql.ledgerEvent.get(roundId);
      return row === undefined ? undefined : ledgerEventOf(record(row));
    },
    ledgerEvents: (taskId) => sql.ledgerEvents.all(taskId).map((row) => ledgerEventOf(record(row))),
    putLedgerEvent: (event) =>
      void sql.putLedgerEvent.run(event.roundId, event.taskId, encodeRecord(event)),

    ...auditRows(database),

    unsignedVersions: (limit) => sql.unsignedVersions.all(limit).map(record) as UnsignedVersion[],
    signingKeys: () => sql.signingKeys.all().map(record) as KeyRecord[],
    putSigningKey: (key) => void sql.putSigningKey.run(encodeRecord(key)),

    enrolments: createSqliteEnrolmentRows(database, record),

    secretNames: () => sql.secretNames.all().map(({ name }) => String(name)),
    secret: (name) => {
      const value = sql.secret.get(name)?.value;
      return value instanceof Uint8Array ? new Uint8Array(value) : undefined;
    },
    putSecret: (name, value) => void sql.putSecret.run(name, value),
    removeSecret: (name) => void sql.removeSecret.run(name),

    probe: () => void sql.probe.run(),
    close: database.close,
  };
}

/** The record of a row; undefined where there is no row. */
function record(row: SqliteRow | undefined): unknown {
  if (row === undefined) return undefined;
  try {
    return decodeRecord(String(row.record));
  } catch (error) {
    const message = "a record in the store is damaged; restore the file from a backup";
    throw new FederatedError("INTERNAL", message, { cause: error });
  }
}
