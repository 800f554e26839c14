import { copyFile, cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { StoreReport } from "../../coordinator/src/storage/verify.ts";
import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import { loadSqliteDriver } from "../../coordinator/src/storage/sqlite-driver.ts";
import { runCli } from "../../coordinator/src/cli/run.ts";
import type { Digest, TaskSpecInput } from "@tributary/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { DataFolder } from "../support/data.ts";
import {
  connectTwo,
  disconnect,
  fingerprintOf,
  makeDataFolder,
  plainTask,
  playRound,
  privateTask,
} from "../support/data.ts";

const driver = await loadSqliteDriver();
let folder: DataFolder;
let sound: string;
let copies = 0;

const adaptiveTask: TaskSpecInput = {
  ...privateTask,
  taskId: "adaptive",
  privacy: {
    ...{ mechanism: "central", noiseMultiplier: 4, delta: 1e-5, maxEpsilon: 50 },
    adaptiveClipping: {},
  },
};

/** The data of a coordinator that has run three rounds of three kinds of tasks, and was stopped. */
beforeAll(async () => {
  folder = await makeDataFolder();
  sound = join(folder.path, "data");
  await using running = await folder.start();
  const clients = await connectTwo(running.url);
  for (const task of [plainTask, privateTask, adaptiveTask])
    await running.coordinator.tasks.create(task);
  for (let round = 1; round <= 3; round++) {
    for (const taskId of ["small", "private", "adaptive"])
      await playRound(running, clients, taskId);
  }
  await disconnect(clients);
});
afterAll(() => folder[Symbol.asyncDispose]());

/** A copy of the data to do harm to. */
async function makeCopy(): Promise<string> {
  const directory = join(folder.path, `copy-${copies++}`);
  await cp(sound, directory, { recursive: true });
  return directory;
}

/** Changes the database behind the coordinator's back, its own guards taken off. */
function tamper(directory: string, sql: string): void {
  const connection = driver.connect(join(directory, "tributary.sqlite"));
  connection.exec("PRAGMA foreign_keys = OFF");
  for (const { name } of connection
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    .all()) {
    connection.exec(`DROP TRIGGER ${String(name)}`);
  }
  connection.exec(sql);
  connection.close();
}

const recordOf = (directory: string, sql: string) => {
  const connection = driver.connect(join(directory, "tributary.sqlite"));
  const row = connection.prepare(sql).get();
  connection.close();
  return row as { digest: Digest };
};

const blobFile = (directory: string, digest: string) =>
  join(directory, "checkpoints", digest.slice(0, 2), digest);

async function run(argv: readonly string[]) {
  let out = "";
  let err = "";
  const exitCode = await runCli(argv, {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: {},
    cwd: folder.path,
    isTTY: false,
  });
  return { exitCode, out, err };
}

test("[OPS1] sound data is found sound, by a table for people and by JSON, and exits with 0", async () => {
  const told = await run(["store", "verify", "--directory", sound]);
  expect(told).toMatchObject({ exitCode: 0, err: "" });
  expect(told.out).toContain("everything is as it must be");
  const { exitCode, out } = await run(["store", "verify", "--data", sound, "--json"]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    // Both tasks begin with the same zeros: one blob.
    checked: { tasks: 3, rounds: 9, modelVersions: 12, charges: 6, blobs: 13 },
    faults: [],
    orphans: [],
  });
});

test("[SIG17] a broken chain of keys, a foreign signer and a newest version by a replaced key are found", async () => {
  const rotated = await makeCopy();
  {
    await using running = await folder.start({ storage: { kind: "sqlite", directory: rotated } });
    await running.coordinator.keys.rotate();
  }
  expect((await verifyStore(rotated)).faults).toEqual([]);
  const keyOf = "(SELECT public_key FROM signing_keys ORDER BY id LIMIT 1)";
  for (const [sql, fault] of [
    ["DELETE FROM signing_keys WHERE id = 1", /are no unbroken chain/],
    [
      "UPDATE signing_keys SET record = json_set(record, '$.createdAt', 'x') WHERE id = 2",
      /are no unbroken chain/,
    ],
    [
      `DELETE FROM signing_keys WHERE public_key = ${keyOf}`,
      /version 1 of task small.* none of this store's/,
    ],
    ["DELETE FROM signing_keys WHERE id = 2", /version 3 of task small.* none of this store's/],
    [
      // As if the version had been saved under the former key after the change.
      `UPDATE model_versions SET record = json_set(record, '$.signed.publicKey', ${keyOf})
         WHERE task_id = 'small' AND model_version = 3`,
      /version 3 of task small.* was replaced/,
    ],
  ] as const) {
    const directory = join(folder.path, `copy-${copies++}`);
    await cp(rotated, directory, { recursive: true });
    tamper(directory, sql);
    const lines = (await verifyStore(directory)).faults.map((f) => `${f.where} ${f.message}`);
    expect(lines, sql).toContainEqual(expect.stringMatching(fault));
  }
});

test("[OPS2] verifying changes not a byte, of sound data, of damaged data and of what a crash left", async () => {
  const damaged = await makeCopy();
  tamper(damaged, "DELETE FROM ledger");
  const crashed = join(folder.path, "crashed");
  {
    // The files as they lie there while a coordinator runs: what kill -9 would leave.
    await using running = await folder.start({
      storage: { kind: "sqlite", directory: join(folder.path, "live") },
    });
    await running.coordinator.tasks.create(plainTask);
    await mkdir(crashed);
    await cp(join(folder.path, "live", "checkpoints"), join(crashed, "checkpoints"), {
      recursive: true,
    });
    for (const name of ["tributary.sqlite", "tributary.sqlite-wal"]) {
      await copyFile(join(folder.path, "live", name), join(crashed, name));
    }
  }
  for (const [directory, faults] of [
    [sound, 0],
    [crashed, 0],
    [damaged, 1],
  ] as const) {
    const before = await fingerprintOf(directory);
    const report = await verifyStore(directory);
    expect(Math.min(1, report.faults.length), directory).toBe(faults);
    expect(await fingerprintOf(directory)).toEqual(before);
  }
  expect((await verifyStore(crashed)).checked).toMatchObject({ tasks: 1, modelVersions: 1 });
});

test("[OPS3] data that a coordinator has open is not looked at, and the way to go is told", async () => {
  await using other = await makeDataFolder();
  await using running = await other.start();
  await running.coordinator.tasks.create(plainTask);
  const { exitCode, err } = await run(["store", "verify", "--directory", join(other.path, "data")]);
  expect(exitCode).toBe(1);
  expect(err).toMatch(/UNAVAILABLE .*in use by a coordinator.*store backup/);
  // The coordinator has not noticed.
  await running.coordinator.tasks.pause("small" as never);
  for (const nothing of ["nowhere", "."]) {
    expect(await run(["store", "verify", "--directory", nothing])).toMatchObject({ exitCode: 3 });
  }
});

describe("damage", () => {
  const first = (directory: string, task: string) =>
    recordOf(
      directory,
      `SELECT record ->> 'digest' AS digest FROM model_versions WHERE task_id = '${task}' AND model_version = 2`,
    ).digest;

  /** What is done, and the fault that must be found. */
  const cases: readonly [string, (directory: string) => Promise<void> | void, RegExp][] = [
    [
      "a cut checkpoint",
      async (d) => truncate(blobFile(d, first(d, "small")), 50),
      /^checkpoint .* holds other bytes/,
    ],
    [
      "an emptied checkpoint",
      async (d) => truncate(blobFile(d, first(d, "small")), 0),
      /^checkpoint .* holds other bytes/,
    ],
    [
      "a missing checkpoint",
      async (d) => rm(blobFile(d, first(d, "private"))),
      /^checkpoint .* is missing/,
    ],
    [
      "a directory where a checkpoint should be",
      async (d) => {
        await rm(blobFile(d, first(d, "private")));
        await mkdir(blobFile(d, first(d, "private")));
      },
      /^checkpoint .* cannot be read: EISDIR/,
    ],
    [
      "another version's checkpoint under a version's name",
      (d) =>
        tamper(
          d,
          `UPDATE model_versions SET record = json_set(record, '$.digest', (SELECT record ->> 'digest' FROM model_versions WHERE model_version = 0)) WHERE model_version = 2 AND task_id = 'small'`,
        ),
      /^checkpoint .* says it is version 0, and is kept as version 2/,
    ],
    [
      "a version that has lost its clipping norm",
      (d) =>
        tamper(
          d,
          `UPDATE model_versions SET record = json_remove(record, '$.clippingNorm') WHERE task_id = 'adaptive' AND model_version = 3`,
        ),
      /^version 3 of task adaptive .* has the clipping norm undefined, which must be from/,
    ],
    [
      "a changed optimizer state",
      async (d) => {
        const { digest } = recordOf(
          d,
          "SELECT record ->> 'optimizerState' AS digest FROM model_versions WHERE model_version = 3 AND task_id = 'small'",
        );
        const bytes = await readFile(blobFile(d, digest));
        await writeFile(blobFile(d, digest), bytes.fill(0));
      },
      /^optimizer state .* holds other bytes/,
    ],
    [
      "the whole blob folder gone",
      async (d) => rm(join(d, "checkpoints"), { recursive: true }),
      /^checkpoint .* is missing/,
    ],
    [
      "a missing version",
      (d) => tamper(d, "DELETE FROM model_versions WHERE task_id = 'small' AND model_version = 1"),
      /version 1 is missing/,
    ],
    [
      "a missing newest version",
      (d) => tamper(d, "DELETE FROM model_versions WHERE task_id = 'small' AND model_version = 3"),
      /^round small\.3 made version 3, which is not there/,
    ],
    [
      "a missing round",
      (d) => tamper(d, "DELETE FROM reports; DELETE FROM rounds WHERE round_id = 'small.2'"),
      /came of round 2, which is not there/,
    ],
    [
      "two open rounds",
      (d) =>
        tamper(
          d,
          `DROP INDEX one_open_round; UPDATE rounds SET record = json_set(record, '$.phase', 'reporting') WHERE task_id = 'small'`,
        ),
      /^task small 3 rounds are open at once/,
    ],
    [
      "a round that says it made another version",
      (d) =>
        tamper(
          d,
          `UPDATE rounds SET record = json_set(record, '$.modelVersion', 1) WHERE round_id = 'small.2'`,
        ),
      /^round small\.2 says it made version 1, which says it came of round 1/,
    ],
    [
      "a forgotten charge",
      (d) => tamper(d, "DELETE FROM ledger WHERE round_id = 'private.2'"),
      /^round private\.2 released a model without a charge/,
    ],
    [
      "a charge made void after the release",
      (d) =>
        tamper(
          d,
          `UPDATE ledger SET record = json_set(record, '$.status', 'void') WHERE round_id = 'private.1'`,
        ),
      /^charge of round private\.1 is void, though its round released a model/,
    ],
    [
      "a charge that waits though its round has ended",
      (d) =>
        tamper(
          d,
          `UPDATE ledger SET record = json_set(record, '$.status', 'reserved') WHERE round_id = 'private.1'`,
        ),
      /^charge of round private\.1 is reserved while its round is committed/,
    ],
    [
      "a charge of which a digit has rotted",
      (d) =>
        tamper(
          d,
          `UPDATE ledger SET record = json_set(record, '$.charge.noiseMultiplier', 6) WHERE round_id = 'private.2'`,
        ),
      /^charge of round private\.2 is .*noiseMultiplier 6, sampling none, the audit log .* says .*noiseMultiplier 4, sampling none;/,
    ],
    [
      "an empty database",
      (d) => truncate(join(d, "tributary.sqlite"), 0),
      /^database .* is empty, and there are checkpoints beside it/,
    ],
    [
      "a database without tables",
      async (d) => {
        await rm(join(d, "tributary.sqlite"));
        const connection = driver.connect(join(d, "tributary.sqlite"));
        connection.exec("PRAGMA journal_mode = WAL");
        connection.close();
      },
      /^database .* has nothing in it, and there are checkpoints beside it/,
    ],
    [
      "a page that SQLite's own check takes for an empty index",
      async (d) => {
        const file = join(d, "tributary.sqlite");
        const connection = driver.connect(file);
        const { rootpage } = connection
          .prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'unsigned_versions'")
          .get()!;
        connection.close();
        const bytes = await readFile(file);
        const at = (Number(rootpage) - 1) * 4096;
        // A table's leaf without a row.
        bytes.fill(0, at, at + 4096);
        bytes.set([0x0d, 0, 0, 0, 0, 0x10, 0, 0], at);
        await writeFile(file, bytes);
      },
      /^database cannot be read to its end: .*the file is damaged/,
    ],
    [
      "a count of forgotten rounds that is wrong",
      (d) => tamper(d, "INSERT INTO dropped_rounds VALUES ('small', 5, 0, 0)"),
      /^task small has 8 committed rounds, and its newest version is 3/,
    ],
    [
      "a record that is no record",
      (d) =>
        tamper(d, `UPDATE rounds SET record = '{phase: "committed"}' WHERE round_id = 'small.1'`),
      /^round small\.1 a record in the store is damaged/,
    ],
    [
      "a report without its round",
      (d) => tamper(d, "INSERT INTO reports VALUES (999, 'x')"),
      /^database a row of reports refers to a missing one of rounds/,
    ],
    [
      "a changed audit entry",
      (d) =>
        tamper(d, "UPDATE audit SET record = replace(record, 'small', 'smell') WHERE number = 4"),
      /^audit entry \d+ .*was changed/,
    ],
    [
      "a signature of another model",
      (d) =>
        tamper(
          d,
          `UPDATE model_versions SET record = json_set(record, '$.signed', (SELECT record -> '$.signed' FROM model_versions WHERE model_version = 1 AND task_id = 'small')) WHERE model_version = 2 AND task_id = 'small'`,
        ),
      /^signature of version 2 of task small/,
    ],
  ];

  test.each(cases)(
    "[OPS4] %s is found, named, and fails the command",
    async (_name, damage, expected) => {
      const directory = await makeCopy();
      await damage(directory);
      const { exitCode, out, err } = await run([
        "store",
        "verify",
        "--directory",
        directory,
        "--json",
      ]);
      const { faults } = JSON.parse(out) as StoreReport;
      expect(faults.map(({ where, message }) => `${where} ${message}`)).toContainEqual(
        expect.stringMatching(expected),
      );
      expect(exitCode).toBe(1);
      expect(err).toContain("is damaged");
    },
  );

  test("[OPS4] bytes flipped anywhere in the database file are a fault or harmless, never a crash", async () => {
    const size = (await readFile(join(sound, "tributary.sqlite"))).length;
    let found = 0;
    for (let i = 0; i < 24; i++) {
      const directory = await makeCopy();
      const file = join(directory, "tributary.sqlite");
      const bytes = await readFile(file);
      const page = Math.floor((i / 24) * (size / 4096));
      // The head of a page: its kind, its counts, the places of its cells.
      for (let at = page * 4096 + (page === 0 ? 100 : 0), n = 0; n < 12; n++)
        bytes[at + n]! ^= 0xff;
      await writeFile(file, bytes);
      const report = await verifyStore(directory);
      if (report.faults.length > 0) found += 1;
      await rm(directory, { recursive: true });
    }
    // A page that is free, or waits for its first row, can be anything.
    expect(found).toBeGreaterThan(18);
  });
});

test("[OPS5] files that nothing refers to are told as harmless, and go only when asked for and all is well", async () => {
  const directory = await makeCopy();
  const digest = "ab".repeat(32);
  await mkdir(join(directory, "checkpoints", "ab"), { recursive: true });
  await writeFile(blobFile(directory, digest), "of a round that came to nothing");
  const told = await run(["store", "verify", "--directory", directory]);
  expect(told).toMatchObject({
    exitCode: 0,
    err: expect.stringContaining("1 files that nothing refers to harm nobody"),
  });
  expect((await verifyStore(directory)).orphans).toEqual([digest]);

  const kept = await makeCopy();
  await cp(directory, kept, { recursive: true });
  tamper(kept, "DELETE FROM ledger WHERE round_id = 'private.2'");
  await run(["store", "verify", "--directory", kept, "--remove-orphans"]);
  expect((await verifyStore(kept)).orphans).toEqual([digest]);

  expect(
    await run(["store", "verify", "--directory", directory, "--remove-orphans"]),
  ).toMatchObject({ exitCode: 0 });
  expect(await verifyStore(directory)).toMatchObject({ orphans: [], faults: [] });
});

test("[OPS6] data whose old rounds and versions were forgotten is sound", async () => {
  await using other = await makeDataFolder();
  const directory = join(other.path, "data");
  {
    await using running = await other.start({
      storage: { kind: "sqlite", directory },
      retention: { rounds: 10, modelVersions: 2 },
    });
    const clients = await connectTwo(running.url);
    await running.coordinator.tasks.create(privateTask);
    for (let round = 1; round <= 13; round++) await playRound(running, clients, "private");
    await disconnect(clients);
  }
  const report = await verifyStore(directory);
  expect(report.faults).toEqual([]);
  expect(report.checked).toMatchObject({ charges: 13 });
  expect(report.checked.rounds).toBeLessThan(13);
  tamper(directory, "DELETE FROM ledger WHERE round_id = 'private.1'");
  expect((await verifyStore(directory)).faults).toEqual([
    {
      where: "task private",
      message: expect.stringContaining("13 committed rounds and only 12 released charges"),
    },
    {
      where: "charge of round private.1",
      message: expect.stringMatching(/^is in the audit log \(entry \d+\), and not there/),
    },
  ]);
});
