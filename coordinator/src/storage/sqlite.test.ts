import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { ClientId, PublicKey, TaskId } from "@tributary/protocol";
import { createLayout, roundIdOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import type {
  CommittedRoundRecord,
  ModelVersionRecord,
  OpenRoundRecord,
  TaskRecord,
} from "../ports.ts";
import { createFileBlobs } from "./blobs.ts";
import { onConnection, openSqliteDatabase } from "./sqlite-database.ts";
import { loadSqliteDriver } from "./sqlite-driver.ts";
import { factsOfCharge, tellsOf } from "./charge-record.ts";
import { migrate, SCHEMA_VERSION } from "./sqlite-schema.ts";
import { createSqliteRows, createSqliteStore } from "./sqlite.ts";
import { createStore } from "./store.ts";

const driver = await loadSqliteDriver();
const taskId = "digits" as TaskId;
const tensors = [{ name: "w", shape: [2] }];

const task: TaskRecord = {
  taskId,
  layout: await createLayout(tensors),
  state: "running",
  createdAt: 1,
  spec: {
    taskId,
    description: "",
    model: { tensors },
    plan: {
      epochs: 1,
      batchSize: 1,
      learningRate: 0.1,
      optimizer: { kind: "sgd" },
      proximalMu: 0,
      encoding: { kind: "float32" },
      compression: "none",
    },
    sampler: { kind: "all" },
    weighting: { kind: "uniform" },
    clippingNorm: 1,
    aggregation: { kind: "mean" },
    serverOptimizer: { kind: "sgd", learningRate: 1 },
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 8 },
    schedule: {
      minClients: 1,
      minReports: 1,
      selectionDeadlineMs: 1,
      reportWindowMs: 1,
      aggregationDeadlineMs: 1,
      pauseBetweenRoundsMs: 0,
    },
    stop: {},
    evaluation: { kind: "none" },
  },
};

const versionRecord = (modelVersion: number): ModelVersionRecord => ({
  taskId,
  modelVersion,
  digest: "0".repeat(64) as ModelVersionRecord["digest"],
  bytes: 8,
  createdAt: 1,
  ...(modelVersion === 0 ? {} : { roundNumber: modelVersion }),
  signed: { manifest: "{}", publicKey: "A".repeat(43) as PublicKey, signature: "A".repeat(86) },
});

const round: OpenRoundRecord = {
  roundId: roundIdOf(taskId, 1),
  taskId,
  roundNumber: 1,
  baseModelVersion: 0,
  openedAt: 1,
  phase: "aggregating",
  phases: [],
  participants: {
    selected: 1,
    reported: 1,
    pending: 0,
    declined: 0,
    left: 0,
    disconnected: 0,
    rejected: 0,
    timedOut: 0,
  },
  rejections: {},
  updateBytes: 0,
};
const committed: CommittedRoundRecord = {
  ...round,
  phase: "committed",
  modelVersion: 1,
  endedAt: 2,
};
const charge = {
  mechanism: "gaussian",
  noiseMultiplier: 1,
  claim: { kind: "none" },
} as const;
const reserved = {
  roundId: round.roundId,
  taskId,
  charge,
  status: "reserved",
  reservedAt: 1,
} as const;

async function makeFile() {
  const directory = await mkdtemp(join(tmpdir(), "tributary-sqlite-"));
  return {
    directory,
    file: join(directory, "deep", "store.sqlite"),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

test("[ST7] who was in a cohort is no longer in the tables once the round has ended", async () => {
  await using under = await makeFile();
  {
    await using store = await createSqliteStore(under);
    await store.createTask(task, versionRecord(0));
    await store.saveOpenRound(round, ["bystander" as ClientId]);
    await store.abandonRound({
      round: { ...round, phase: "abandoned", reason: "tooFewReports", endedAt: 2 },
    });
  }
  const connection = driver.connect(under.file);
  expect(connection.prepare("SELECT cohort FROM rounds").all()).toEqual([{ cohort: null }]);
  connection.close();
});

test("[ST24] a second coordinator is refused, by name of the file, until the first has closed", async () => {
  await using under = await makeFile();
  const { file } = under;
  const first = await createSqliteStore({ file });
  await first.createTask(task, versionRecord(0));
  // Twice: the refused attempt must not loosen the lock.
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(createSqliteStore({ file })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining(`${file} is in use by another process`),
    });
  }
  await first.setTaskState(taskId, "paused");
  await first[Symbol.asyncDispose]();
  await using second = await createSqliteStore({ file });
  expect((await second.getTask(taskId))?.state).toBe("paused");
});

test("[ST24] of two coordinators that start at the same moment, one gets the file", async () => {
  await using under = await makeFile();
  const { file } = under;
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => createSqliteStore({ file })));
  const winners = outcomes.filter((outcome) => outcome.status === "fulfilled");
  expect(winners).toHaveLength(1);
  await winners[0]!.value[Symbol.asyncDispose]();
});

test("[ST25] the file, which holds a key, is readable by its owner alone", async () => {
  await using under = await makeFile();
  await using store = await createSqliteStore(under);
  await store.check();
  for (const name of [under.file, `${under.file}-wal`]) {
    expect((await stat(name)).mode & 0o777).toBe(0o600);
  }
});

test("[ST25] so is a folder that is made for data, or for checkpoints in it", async () => {
  await using under = await makeFile();
  const data = join(dirname(under.file), "new", "data");
  await using store = await createSqliteStore({ file: join(data, "tributary.sqlite") });
  await store.check();
  const checkpoints = join(dirname(under.file), "checkpoints");
  await (await createFileBlobs({ directory: checkpoints })).put(new Uint8Array([1]));
  for (const made of [data, checkpoints]) expect((await stat(made)).mode & 0o777).toBe(0o700);
});

test("[ST26] every commit is synced to disk before its call resolves, and references hold", async () => {
  await using under = await makeFile();
  const database = await openSqliteDatabase(under.file);
  const pragma = (name: string) => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  expect(pragma("journal_mode")).toBe("wal");
  expect(pragma("synchronous")).toBe(2);
  expect(pragma("foreign_keys")).toBe(1);
  expect(pragma("locking_mode")).toBe("exclusive");
  database.close();
});

test("[ST27] a file of a newer version, or of another application, is refused and left as it is", async () => {
  await using under = await makeFile();
  const { file } = under;
  await (await createSqliteStore({ file }))[Symbol.asyncDispose]();
  const newer = driver.connect(file);
  newer.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  newer.close();
  const foreign = join(under.directory, "foreign.sqlite");
  const connection = driver.connect(foreign);
  connection.exec("CREATE TABLE photos (name TEXT)");
  connection.close();

  for (const [name, reason] of [
    [file, `schema version ${SCHEMA_VERSION + 1}`],
    [foreign, "not a coordinator's"],
  ] as const) {
    const before = await readFile(name);
    // Twice: the refusal is the same, and not that the file is in use by who was refused.
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(createSqliteStore({ file: name })).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringMatching(new RegExp(`${name}.*${reason}`)),
      });
    }
    expect(await readFile(name)).toEqual(before);
  }
});

test("[ST28] a file that is damaged, or cannot be opened, is a coded error that names it", async () => {
  await using under = await makeFile();
  const garbage = join(under.directory, "garbage.sqlite");
  await writeFile(garbage, "this is no database, ".repeat(1000));
  await expect(createSqliteStore({ file: garbage })).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringContaining(garbage),
    cause: expect.any(Error),
  });
  for (const file of [under.directory, join(garbage, "store.sqlite")]) {
    await expect(createSqliteStore({ file })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining(file),
    });
  }
});

test("[ST28] a page that is met damaged while rows are read is a coded error with what to do", async () => {
  await using under = await makeFile();
  const { file } = under;
  {
    await using store = await createSqliteStore({ file });
    await store.createTask(task, versionRecord(0));
  }
  const connection = driver.connect(file);
  const sql =
    "SELECT rootpage, (SELECT page_size FROM pragma_page_size) AS size FROM sqlite_schema";
  const { rootpage, size } = connection.prepare(`${sql} WHERE name = 'ledger_by_task'`).get()!;
  connection.close();
  const bytes = await readFile(file);
  bytes.fill(0, (Number(rootpage) - 1) * Number(size), Number(rootpage) * Number(size));
  await writeFile(file, bytes);
  await using store = await createSqliteStore({ file });
  await expect(store.listLedger(taskId)).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringContaining("the file is damaged; restore it from a backup"),
  });
});

test("[ST28] a record that was damaged by other hands is INTERNAL, and the rest stays readable", async () => {
  await using under = await makeFile();
  const { file } = under;
  {
    await using store = await createSqliteStore({ file });
    await store.createTask(task, versionRecord(0));
  }
  const connection = driver.connect(file);
  // JSON5: good enough for the columns that SQLite derives, but not what a record is.
  connection.exec(`UPDATE tasks SET record = '{state: "running"}'`);
  connection.close();
  await using store = await createSqliteStore({ file });
  await expect(store.getTask(taskId)).rejects.toMatchObject({ code: "INTERNAL" });
  expect(await store.latestModelVersion(taskId)).toStrictEqual(versionRecord(0));
});

test("[ST29] a full disk in the middle of a commit undoes all of it, and the store goes on when there is room", async () => {
  await using under = await makeFile();
  const connection = driver.connect(join(under.directory, "full.sqlite"));
  migrate(connection, 0);
  const store = createStore(createSqliteRows(onConnection(connection)), Date.now);
  await store.createTask(task, versionRecord(0));
  await store.saveOpenRound(round);
  await store.reserveLedger(reserved);
  const reported = Array.from({ length: 5000 }, (_, i) => `client-${i}` as ClientId);
  const commit = { round: committed, version: versionRecord(1), reported, releaseLedger: true };
  const { page_count: pages } = connection.prepare("PRAGMA page_count").get()!;
  const logged = await store.audit.head();

  connection.exec(`PRAGMA max_page_count = ${Number(pages) + 5}`);
  await expect(store.commitRound(commit)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("the disk is full"),
  });
  expect((await store.getOpenRound(taskId))?.round).toStrictEqual(round);
  expect((await store.latestModelVersion(taskId))?.modelVersion).toBe(0);
  expect(await store.listLedger(taskId)).toStrictEqual([reserved]);
  expect(await store.wasReported(round.roundId, reported[0]!)).toBe(false);
  expect(await store.audit.head()).toEqual(logged);

  connection.exec("PRAGMA max_page_count = 100000");
  await store.commitRound(commit);
  expect(await store.listLedger(taskId)).toStrictEqual([{ ...reserved, status: "released" }]);
  expect(await store.wasReported(round.roundId, reported[4999]!)).toBe(true);
  await store[Symbol.asyncDispose]();
});

test("[ST29] a store that cannot be written says so when it is checked, and can still be read", async () => {
  await using under = await makeFile();
  const connection = driver.connect(join(under.directory, "readonly.sqlite"));
  migrate(connection, 0);
  const store = createStore(createSqliteRows(onConnection(connection)), Date.now);
  await store.createTask(task, versionRecord(0));
  connection.exec("PRAGMA query_only = ON");
  const refusal = { code: "UNAVAILABLE", message: expect.stringContaining("read-only") };
  await expect(store.check()).rejects.toMatchObject(refusal);
  await expect(store.setTaskState(taskId, "paused")).rejects.toMatchObject(refusal);
  expect(await store.getTask(taskId)).toStrictEqual(task);
  connection.exec("PRAGMA query_only = OFF");
  await store.check();
  await store[Symbol.asyncDispose]();
});

test("[ST30] the file itself refuses to change or forget a settled charge, whoever asks", async () => {
  await using under = await makeFile();
  {
    await using store = await createSqliteStore(under);
    await store.createTask(task, versionRecord(0));
    await store.saveOpenRound(round);
    await store.reserveLedger(reserved);
    await store.commitRound({
      round: committed,
      version: versionRecord(1),
      reported: [],
      releaseLedger: true,
    });
  }
  const connection = driver.connect(under.file);
  expect(() => {
    connection.exec("UPDATE ledger SET record = json_set(record, '$.status', 'void')");
  }).toThrow("never changes");
  expect(() => {
    connection.exec("DELETE FROM ledger");
  }).toThrow("never deleted");
  connection.close();
  await using store = await createSqliteStore(under);
  expect(await store.listLedger(taskId)).toStrictEqual([{ ...reserved, status: "released" }]);
});

test("[DP18] charges of the former version, in ledger and audit log, open and count as what they were", async () => {
  await using under = await makeFile();
  const former = [
    {
      charge: { mechanism: "gaussian", noiseMultiplier: 1.1, samplingRate: 0.01 },
      status: "released",
    },
    { charge: { mechanism: "gaussian", noiseMultiplier: 2, samplingRate: 1 }, status: "reserved" },
  ] as const;
  const second = { ...round, roundId: roundIdOf(taskId, 2), roundNumber: 2 };
  {
    await using store = await createSqliteStore(under);
    await store.createTask(task, versionRecord(0));
    await store.saveOpenRound(round);
  }
  const connection = driver.connect(under.file);
  for (const [i, { charge: former_, status }] of former.entries()) {
    const roundId = roundIdOf(taskId, i + 1);
    const event = { roundId, taskId, charge: former_, status, reservedAt: 1 };
    connection
      .prepare("INSERT INTO ledger (round_id, task_id, record) VALUES (?, ?, ?)")
      .run(roundId, taskId, JSON.stringify(event));
  }
  connection.prepare("UPDATE rounds SET record = ?").run(JSON.stringify(committed));
  connection.close();
  await using store = await createSqliteStore(under);
  const charges = [
    { mechanism: "gaussian", noiseMultiplier: 1.1, claim: { kind: "poisson", samplingRate: 0.01 } },
    { mechanism: "gaussian", noiseMultiplier: 2, claim: { kind: "none" } },
  ] as const;
  const ledger = await store.listLedger(taskId);
  expect(ledger.map(({ charge: read }) => read)).toStrictEqual(charges);
  // A reserved one settles as ever, in the words of now.
  await store.saveOpenRound(second);
  await store.abandonRound({
    round: { ...second, phase: "abandoned", reason: "tooFewReports", endedAt: 2 },
  });
  expect((await store.listLedger(taskId))[1]).toMatchObject({ status: "void", charge: charges[1] });
  expect(tellsOf({ noiseMultiplier: 1.1, samplingRate: 0.01 }, charges[0])).toBe(true);
  expect(tellsOf({ noiseMultiplier: 1.1, samplingRate: 0.02 }, charges[0])).toBe(false);
  expect(tellsOf({ noiseMultiplier: 2, samplingRate: 1 }, charges[1])).toBe(true);
  expect(tellsOf({ noiseMultiplier: 2, samplingRate: 0.5 }, charges[1])).toBe(false);
  for (const charge of charges) {
    expect(tellsOf(factsOfCharge(charge), charge)).toBe(true);
    expect(tellsOf({ ...factsOfCharge(charge), sampling: "fixedSize" }, charge)).toBe(false);
  }
});

test("[ST42] Node's own SQLite is used where this Node has one, the package where it has none", () => {
  const builtin = process.getBuiltinModule("node:sqlite");
  expect(driver.name).toBe(builtin === undefined ? "@photostructure/sqlite" : "node:sqlite");
  const connection = driver.connect(":memory:");
  expect(connection.prepare("SELECT json('[1]') ->> 0 AS one").get()?.one).toBe(1);
  connection.close();
});

test("[OPS23] a store from before rounds could be forgotten keeps everything, its charges as safe as ever", async () => {
  await using under = await makeFile();
  const file = join(under.directory, "old.sqlite");
  const old = driver.connect(file);
  migrate(old, 0, 2);
  const put = (sql: string, ...values: (string | number)[]) => old.prepare(sql).run(...values);
  put("INSERT INTO tasks (task_id, record) VALUES (?, ?)", taskId, JSON.stringify(task));
  for (const number of [0, 1]) {
    const record = JSON.stringify(versionRecord(number));
    put("INSERT INTO model_versions VALUES (?, ?, ?, ?)", number + 7, taskId, number, record);
  }
  const { roundId } = round;
  const roundSql = `INSERT INTO rounds (id, round_id, task_id, round_number, base_model_version, record)
    VALUES (?, ?, ?, ?, ?, ?)`;
  put(roundSql, 5, roundId, taskId, 1, 0, JSON.stringify(committed));
  const second = { ...round, roundId: roundIdOf(taskId, 2), roundNumber: 2, baseModelVersion: 1 };
  put(roundSql, 9, second.roundId, taskId, 2, 1, JSON.stringify(second));
  put("INSERT INTO reports VALUES (5, 'somebody')");
  const released = { ...reserved, status: "released" } as const;
  const ledgerSql = "INSERT INTO ledger (round_id, task_id, record) VALUES (?, ?, ?)";
  put(ledgerSql, roundId, taskId, JSON.stringify(released));
  old.close();
  {
    await using store = await createSqliteStore({ file });
    expect(await store.listRounds(taskId, { limit: 9 })).toStrictEqual([second, committed]);
    expect((await store.getOpenRound(taskId))?.round).toStrictEqual(second);
    expect(await store.wasReported(roundId, "somebody" as ClientId)).toBe(true);
    expect(await store.listLedger(taskId)).toStrictEqual([released]);
    await store.prune(taskId, { rounds: 1 }, 10);
    expect(await store.getRound(roundId)).toBeUndefined();
    expect(await store.listLedger(taskId)).toStrictEqual([released]);
  }
  const connection = driver.connect(file);
  expect(connection.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
  for (const sql of ["DELETE FROM ledger", "UPDATE ledger SET task_id = task_id"]) {
    expect(() => {
      connection.exec(sql);
    }).toThrow("never");
  }
  // The newest of two open rounds would otherwise win silently.
  expect(() => {
    const record = JSON.stringify({ ...second, roundId: roundIdOf(taskId, 3), roundNumber: 3 });
    connection.prepare(roundSql).run(10, roundIdOf(taskId, 3), taskId, 3, 1, record);
  }).toThrow("UNIQUE");
  connection.close();
});

test("[RA1] a task from before there was a choice of rules or encodings goes on with the mean, in float32, not packed", async () => {
  await using under = await makeFile();
  const file = join(under.directory, "old.sqlite");
  const old = driver.connect(file);
  migrate(old, 0, 2);
  const { aggregation, ...spec } = task.spec;
  const { compression, ...plan } = spec.plan;
  const former = { ...task, spec: { ...spec, plan: { ...plan, encoding: "float32" } } };
  old
    .prepare("INSERT INTO tasks (task_id, record) VALUES (?, ?)")
    .run(taskId, JSON.stringify(former));
  old.close();
  await using store = await createSqliteStore({ file });
  expect({ aggregation, compression }).toEqual({
    aggregation: { kind: "mean" },
    compression: "none",
  });
  expect(await store.getTask(taskId)).toStrictEqual(task);
});
