/** Tables of the SQLite store, and how a file of an older version becomes one of this. */

import { FederatedError } from "@tributary/protocol";

import type { SqliteConnection } from "./sqlite-driver.ts";

/** "TRIB": marks the file as a coordinator's, see `PRAGMA application_id`. */
const APPLICATION_ID = 0x54524942;

/**
 * Each step brings a file from version i to i + 1 (`PRAGMA user_version`). Steps that have been released
 * are never edited; a change is a new step at the end.
 *
 * A row is its keys and its record as JSON; what is looked up or counted is generated from the record, so
 * the two cannot disagree.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    state TEXT AS (record ->> 'state')
  ) STRICT;

  CREATE TABLE model_versions (
    id INTEGER PRIMARY KEY,
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    model_version INTEGER NOT NULL,
    record TEXT NOT NULL,
    evaluated INTEGER AS (record -> 'evaluation' IS NOT NULL),
    UNIQUE (task_id, model_version)
  ) STRICT;
  CREATE INDEX evaluated_versions ON model_versions (task_id, model_version) WHERE evaluated;

  CREATE TABLE rounds (
    id INTEGER PRIMARY KEY,
    round_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    round_number INTEGER NOT NULL,
    base_model_version INTEGER NOT NULL,
    record TEXT NOT NULL,
    phase TEXT AS (record ->> 'phase'),
    is_open INTEGER AS (record ->> 'phase' NOT IN ('committed', 'abandoned')),
    cohort TEXT,
    UNIQUE (task_id, round_number),
    FOREIGN KEY (task_id, base_model_version) REFERENCES model_versions (task_id, model_version)
  ) STRICT;
  CREATE INDEX rounds_by_phase ON rounds (task_id, phase);
  CREATE UNIQUE INDEX one_open_round ON rounds (task_id) WHERE is_open;

  CREATE TABLE reports (
    round INTEGER NOT NULL REFERENCES rounds (id),
    client_id TEXT NOT NULL,
    PRIMARY KEY (round, client_id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    round_id TEXT NOT NULL UNIQUE REFERENCES rounds (round_id),
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    record TEXT NOT NULL,
    status TEXT AS (record ->> 'status')
  ) STRICT;
  CREATE INDEX ledger_by_task ON ledger (task_id, id);
  -- The budget is the one thing that no mistake here may lose: the file itself refuses.
  CREATE TRIGGER ledger_settles_once BEFORE UPDATE ON ledger WHEN OLD.status <> 'reserved'
    BEGIN SELECT RAISE(ABORT, 'a released or void ledger event never changes'); END;
  CREATE TRIGGER ledger_forgets_nothing BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'a ledger event is never deleted'); END;

  CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE probe (id INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
  `,
  `
  CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    previous TEXT NOT NULL,
    record TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
  -- A log that can be mended proves nothing: the file itself takes the next entry and nothing else.
  CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
    WHEN NEW.number <> 1 + coalesce((SELECT max(number) FROM audit), 0)
      OR NEW.previous <> coalesce((SELECT hash FROM audit ORDER BY number DESC LIMIT 1), NEW.previous)
    BEGIN SELECT RAISE(ABORT, 'an audit entry follows the newest one'); END;
  CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'an audit entry never changes'); END;
  CREATE TRIGGER audit_forgets_nothing BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'an audit entry is never deleted'); END;
  `,
  `
  CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    public_key TEXT AS (record ->> 'publicKey')
  ) STRICT;
  CREATE UNIQUE INDEX signing_key_once ON signing_keys (public_key);
  -- A client that was away for years needs the whole chain.
  CREATE TRIGGER signing_keys_never_change BEFORE UPDATE ON signing_keys
    BEGIN SELECT RAISE(ABORT, 'a signing key record never changes'); END;
  CREATE TRIGGER signing_keys_forget_nothing BEFORE DELETE ON signing_keys
    BEGIN SELECT RAISE(ABORT, 'a signing key record is never deleted'); END;
  ALTER TABLE model_versions ADD COLUMN is_signed INTEGER AS (record -> 'signed' IS NOT NULL);
  CREATE INDEX unsigned_versions ON model_versions (task_id, model_version) WHERE NOT is_signed;
  `,
  // Rounds and versions may be forgotten; their charges may not, so these refer to them no longer.
  `
  CREATE TABLE rounds_anew (
    id INTEGER PRIMARY KEY,
    round_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    round_number INTEGER NOT NULL,
    base_model_version INTEGER NOT NULL,
    record TEXT NOT NULL,
    phase TEXT AS (record ->> 'phase'),
    is_open INTEGER AS (record ->> 'phase' NOT IN ('committed', 'abandoned')),
    cohort TEXT,
    UNIQUE (task_id, round_number)
  ) STRICT;
  INSERT INTO rounds_anew (id, round_id, task_id, round_number, base_model_version, record, cohort)
    SELECT id, round_id, task_id, round_number, base_model_version, record, cohort FROM rounds;
  DROP TABLE rounds;
  ALTER TABLE rounds_anew RENAME TO rounds;
  CREATE INDEX rounds_by_phase ON rounds (task_id, phase);
  CREATE UNIQUE INDEX one_open_round ON rounds (task_id) WHERE is_open;

  CREATE TABLE ledger_anew (
    id INTEGER PRIMARY KEY,
    round_id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    record TEXT NOT NULL,
    status TEXT AS (record ->> 'status')
  ) STRICT;
  INSERT INTO ledger_anew (id, round_id, task_id, record)
    SELECT id, round_id, task_id, record FROM ledger;
  DROP TABLE ledger;
  ALTER TABLE ledger_anew RENAME TO ledger;
  CREATE INDEX ledger_by_task ON ledger (task_id, id);
  CREATE TRIGGER ledger_settles_once BEFORE UPDATE ON ledger WHEN OLD.status <> 'reserved'
    BEGIN SELECT RAISE(ABORT, 'a released or void ledger event never changes'); END;
  CREATE TRIGGER ledger_forgets_nothing BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'a ledger event is never deleted'); END;

  CREATE TABLE dropped_rounds (
    task_id TEXT PRIMARY KEY REFERENCES tasks (task_id),
    committed INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    up_to INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX versions_by_digest ON model_versions (record ->> 'digest');
  CREATE INDEX versions_by_optimizer_state ON model_versions (record ->> 'optimizerState');
  `,
  // For the quota of rounds: one row for each client of a task, which is never more than it has reports.
  `
  CREATE TABLE daily_places (
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    client_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    places INTEGER NOT NULL,
    PRIMARY KEY (task_id, client_id)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE enrolment_tokens (
    id INTEGER PRIMARY KEY,
    token_id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    digest TEXT AS (record ->> 'digest')
  ) STRICT;
  CREATE UNIQUE INDEX enrolment_token_by_digest ON enrolment_tokens (digest);
  CREATE TABLE enrolments (
    client_id TEXT PRIMARY KEY,
    token INTEGER NOT NULL REFERENCES enrolment_tokens (id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX enrolments_by_token ON enrolments (token);
  `,
  // In a copy only: from when it is, until somebody has said that the coordinator may go on from it.
  `
  CREATE TABLE backup_mark (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    taken_at INTEGER NOT NULL
  ) STRICT;
  `,
  // Who was how often in the sums of a matrix run: one row for each client of a task, never forgotten.
  `
  CREATE TABLE participations (
    task_id TEXT NOT NULL REFERENCES tasks (task_id),
    client_id TEXT NOT NULL,
    last_step INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (task_id, client_id)
  ) STRICT, WITHOUT ROWID;
  -- As with the ledger: privacy rests on these counts, and the file itself lets none of them fall.
  CREATE TRIGGER participations_only_grow BEFORE UPDATE ON participations
    WHEN NEW.count <> OLD.count + 1 OR NEW.last_step <= OLD.last_step
    BEGIN SELECT RAISE(ABORT, 'a participation is counted once more, in a later step'); END;
  CREATE TRIGGER participations_forget_nothing BEFORE DELETE ON participations
    BEGIN SELECT RAISE(ABORT, 'a participation is never deleted'); END;
  `,
  // What tasks did before there was a choice.
  `
  UPDATE tasks SET record = json_set(record, '$.spec.aggregation', json('{"kind":"mean"}'))
    WHERE record -> '$.spec.aggregation' IS NULL;
  UPDATE tasks SET record = json_set(record, '$.spec.plan.encoding', json('{"kind":"float32"}'))
    WHERE record ->> '$.spec.plan.encoding' = 'float32';
  `,
  // Copies for serving are blobs of their version.
  `
  CREATE INDEX versions_by_bfloat16_copy ON model_versions (record ->> '$.copies.bfloat16.digest');
  CREATE INDEX versions_by_int8_copy ON model_versions (record ->> '$.copies.int8.digest');
  `,
  // Clients refuse a plan that does not say it.
  `
  UPDATE tasks SET record = json_set(record, '$.spec.plan.compression', 'none')
    WHERE record -> '$.spec.plan.compression' IS NULL;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * The version of the file, before anything is written to it.
 * @throws FederatedError CONFIG_INVALID for another application's file, or one of a newer Tributary
 */
export function readSchemaVersion(connection: SqliteConnection, file: string): number {
  const number = (sql: string) => Number(Object.values(connection.prepare(sql).get() ?? {})[0]);
  const version = number("PRAGMA user_version");
  const application = number("PRAGMA application_id");
  const isEmpty = version === 0 && number("SELECT count(*) FROM sqlite_schema") === 0;
  if (application !== APPLICATION_ID && !isEmpty) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} is an SQLite file, but not a coordinator's; name another file`,
    );
  }
  if (version > SCHEMA_VERSION) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${file} has schema version ${version}, this coordinator knows up to ${SCHEMA_VERSION}; start a newer one`,
    );
  }
  return version;
}

/** Takes the file from `version` to `target`. Call it inside a transaction. */
export function migrate(
  connection: SqliteConnection,
  version: number,
  target = SCHEMA_VERSION,
): void {
  if (version === target) return;
  for (const step of MIGRATIONS.slice(version, target)) connection.exec(step);
  connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  connection.exec(`PRAGMA user_version = ${target}`);
}
