import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { AuditEntry } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { AuditFact } from "../ports.ts";
import { EMPTY_HEAD, faultOf, headOf, nextEntry } from "./audit-chain.ts";
import { onConnection } from "./sqlite-database.ts";
import type { SqliteConnection } from "./sqlite-driver.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import { migrate } from "./sqlite-schema.ts";
import { createSqliteRows, createSqliteStore } from "./sqlite.ts";
import { createStore } from "./store.ts";

const driver = await loadSqliteDriver();
const fact = (i: number): AuditFact => ({
  kind: "admin:requested",
  actor: "operator",
  facts: { action: `POST /v1/tasks/t${i}/pause` },
});

/** A file with a log of six entries, closed. */
async function makeLog() {
  const directory = await mkdtemp(join(tmpdir(), "tributary-audit-"));
  const file = join(directory, "store.sqlite");
  {
    await using store = await createSqliteStore({ file });
    for (let i = 1; i <= 6; i++) await store.audit.append(fact(i));
  }
  return { file, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

/** An owner of the disk with time on their hands: the triggers are gone. */
function openWithoutTriggers(file: string): SqliteConnection {
  const connection = driver.connect(file);
  const triggers = connection
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'")
    .all();
  expect(triggers).toHaveLength(3);
  for (const { name } of triggers) connection.exec(`DROP TRIGGER ${String(name)}`);
  return connection;
}

/** Finds the number of the first entry that is not as it must be; undefined where all are. */
function createReader(connection: SqliteConnection) {
  const rows = createSqliteRows(onConnection(connection));
  return (): number | undefined => {
    let head = EMPTY_HEAD;
    for (const entry of rows.auditEntries({ limit: 1000 })) {
      if (faultOf(head, entry) !== undefined) return entry.number;
      head = headOf(entry);
    }
    return undefined;
  };
}

test("[AL7] the file itself refuses to change, forget, replace or put in an entry, whoever asks", async () => {
  await using log = await makeLog();
  const connection = driver.connect(log.file);
  const before = connection.prepare("SELECT * FROM audit").all();
  const last = before.at(-1) as unknown as AuditEntry;
  const insert = (verb: string, number: number, previous: string) => () =>
    connection
      .prepare(`${verb} INTO audit (number, previous, record, hash) VALUES (?, ?, '{}', 'x')`)
      .run(number, previous);
  for (const attempt of [
    () => connection.exec("UPDATE audit SET record = '{}' WHERE number = 3"),
    () => connection.exec("DELETE FROM audit WHERE number = 6"),
    () => connection.exec("DELETE FROM audit"),
    insert("INSERT OR REPLACE", 3, last.hash),
    insert("INSERT OR REPLACE", 6, last.hash),
    insert("INSERT", 8, last.hash),
    insert("INSERT", 0, last.hash),
    insert("INSERT", 7, last.previous),
  ]) {
    expect(attempt).toThrow(/never|follows the newest/);
  }
  expect(connection.prepare("SELECT * FROM audit").all()).toEqual(before);
  connection.close();
});

test("[AL8] a change of any single byte of any entry is found, at that entry or the one after", async () => {
  await using log = await makeLog();
  const connection = openWithoutTriggers(log.file);
  const firstBroken = createReader(connection);
  expect(firstBroken()).toBeUndefined();
  // One transaction: thousands of commits would take their time on the disk.
  connection.exec("BEGIN");
  const entries = connection.prepare("SELECT * FROM audit").all() as unknown as AuditEntry[];
  let changes = 0;
  for (const { number, ...columns } of entries) {
    for (const [column, text] of Object.entries(columns)) {
      const write = connection.prepare(
        `UPDATE audit SET ${column} = CAST(? AS TEXT) WHERE number = ?`,
      );
      const bytes = Buffer.from(text);
      for (let i = 0; i < bytes.length; i++) {
        for (const flip of [1, 0x20, 0x80]) {
          write.run(bytes.with(i, bytes[i]! ^ flip), number);
          expect(firstBroken(), `${column} ${number} byte ${i}`).toBe(number);
          changes += 1;
        }
      }
      write.run(bytes, number);
    }
    for (const other of [number + 100, -number]) {
      connection.exec(`UPDATE audit SET number = ${other} WHERE number = ${number}`);
      expect(firstBroken()).toBeDefined();
      connection.exec(`UPDATE audit SET number = ${number} WHERE number = ${other}`);
    }
  }
  expect(changes).toBeGreaterThan(4000);
  expect(firstBroken()).toBeUndefined();
  connection.close();
});

test("[AL8] an entry taken out, put in, swapped or rewritten with a right hash of its own is found", async () => {
  const tamperings: readonly [string, string, number][] = [
    ["one taken out", "DELETE FROM audit WHERE number = 3", 4],
    ["the first taken out", "DELETE FROM audit WHERE number = 1", 2],
    [
      "one taken out, the rest moved up",
      "DELETE FROM audit WHERE number = 3; UPDATE audit SET number = -number WHERE number > 3; UPDATE audit SET number = -number - 1 WHERE number < 0",
      3,
    ],
    [
      "one put in, the rest moved down",
      "UPDATE audit SET number = -number WHERE number > 3; UPDATE audit SET number = -number + 1 WHERE number < 0; INSERT INTO audit SELECT 4, previous, record, hash FROM audit WHERE number = 3",
      4,
    ],
    [
      "two swapped",
      "UPDATE audit SET number = -2 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3; UPDATE audit SET number = 3 WHERE number = -2",
      2,
    ],
  ];
  for (const [what, sql, broken] of tamperings) {
    await using log = await makeLog();
    const connection = openWithoutTriggers(log.file);
    connection.exec(sql);
    expect(createReader(connection)(), what).toBe(broken);
    connection.close();
  }

  // With a right hash of its own it is the entry after it that no longer follows.
  await using log = await makeLog();
  const connection = openWithoutTriggers(log.file);
  const [before] = createSqliteRows(onConnection(connection)).auditEntries({ after: 1, limit: 1 });
  const { record, hash } = nextEntry(headOf(before), fact(99), 0);
  connection.prepare("UPDATE audit SET record = ?, hash = ? WHERE number = 3").run(record, hash);
  expect(createReader(connection)()).toBe(4);
  connection.close();
});

test("[AL9] an entry that finds the disk full is not there at all, and the next one follows the last good one", async () => {
  await using log = await makeLog();
  const connection = driver.connect(log.file);
  const store = createStore(createSqliteRows(onConnection(connection)), () => 0);
  const before = await store.audit.list({ limit: 100 });
  const { page_count: pages } = connection.prepare("PRAGMA page_count").get()!;
  connection.exec(`PRAGMA max_page_count = ${Number(pages)}`);
  const long = { ...fact(7), facts: { action: "x".repeat(20_000) } };
  await expect(store.audit.append(long)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await store.audit.list({ limit: 100 })).toStrictEqual(before);
  connection.exec("PRAGMA max_page_count = 100000");
  expect((await store.audit.append(long)).number).toBe(7);
  await store[Symbol.asyncDispose]();
});

test("[AL10] a store of the version before the log gets one, and loses nothing", async () => {
  await using log = await makeLog();
  const file = `${log.file}.old`;
  const connection = driver.connect(file);
  migrate(connection, 0, 1);
  connection.exec("INSERT INTO secrets VALUES ('kept', x'01')");
  connection.close();
  await using store = await createSqliteStore({ file });
  expect(await store.audit.head()).toEqual(EMPTY_HEAD);
  expect((await store.audit.append(fact(1))).number).toBe(1);
  expect(await store.secret("kept", () => new Uint8Array())).toEqual(Uint8Array.of(1));
});
