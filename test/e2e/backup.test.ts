import {
  copyFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";

import { openSqliteDatabase } from "../../coordinator/src/storage/sqlite-database.ts";
import { createBackups } from "../../coordinator/src/storage/backup.ts";
import { createFileBlobs } from "../../coordinator/src/storage/blobs.ts";
import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import { systemClock } from "../../coordinator/src/clock.ts";
import { runCli } from "../../coordinator/src/cli/run.ts";
import { createCoordinator } from "@tributary/coordinator";
import type { PrivacyResource } from "@tributary/protocol";
import { expect, test } from "vitest";

import { quiet } from "../support/coordinator.ts";
import type { DataFolder } from "../support/data.ts";
import {
  ADMIN,
  connectTwo,
  disconnect,
  fingerprintOf,
  makeDataFolder,
  matrixTask,
  plainTask,
  playRound,
  privateTask,
  smallUpdate,
} from "../support/data.ts";

const post = async (url: string, body: unknown, token: string | undefined = ADMIN) => {
  const response = await fetch(`${url}/v1/backups`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

async function run(
  folder: DataFolder,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
) {
  let out = "";
  let err = "";
  const exitCode = await runCli(argv, {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: { TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN, ...env },
    cwd: folder.path,
    isTTY: false,
  });
  return { exitCode, out, err };
}

test("[OPS10] a backup in mid-round is whole, and a coordinator that starts on it goes on with that very round", async () => {
  await using folder = await makeDataFolder();
  const backup = join(folder.path, "backups", "first");
  let spent: PrivacyResource;
  {
    await using running = await folder.start();
    const clients = await connectTwo(running.url);
    for (const task of [plainTask, privateTask]) await running.coordinator.tasks.create(task);
    for (const taskId of ["small", "private"]) await playRound(running, clients, taskId);
    const replies = await Promise.all(clients.map((client) => client.checkIn("private")));
    const assignment = replies[0]!.assignment ?? (await clients[0]!.nextAssignment());
    await clients[0]!.report(assignment, replies[0]!.task.layout, smallUpdate(0.2));

    const made = await run(folder, ["store", "backup", "first", "--url", running.url]);
    expect(made).toMatchObject({ exitCode: 0, out: expect.stringContaining("first: ") });
    spent = await running.coordinator.tasks.privacy("private" as never);
    // The coordinator was not disturbed: its round goes on to its end.
    const ended = running.until(
      (event) => event.type === "model:published" && event.data.modelVersion === 2,
    );
    const other = replies[1]!.assignment ?? (await clients[1]!.nextAssignment());
    await clients[1]!.report(other, replies[1]!.task.layout, smallUpdate(0.2));
    await ended;
    await disconnect(clients);
  }
  expect(await verifyStore(backup)).toMatchObject({
    faults: [],
    orphans: [],
    checked: { tasks: 2, rounds: 3, modelVersions: 4 },
    backupTakenAt: expect.any(String),
    privateTasks: ["private"],
  });
  expect((await stat(backup)).mode & 0o777).toBe(0o700);
  expect((await stat(join(backup, "tributary.sqlite"))).mode & 0o777).toBe(0o600);
  expect((await readdir(backup)).sort()).toEqual(["checkpoints", "tributary.sqlite"]);

  const data = join(folder.path, "restored");
  expect(
    await run(folder, ["store", "restore", backup, "--data", data, "--accept-older-ledger"]),
  ).toMatchObject({ exitCode: 0, out: expect.stringContaining("restored 2 tasks") });
  expect((await verifyStore(data)).backupTakenAt).toBeUndefined();
  await using running = await folder.start({ storage: { kind: "sqlite", directory: data } });
  const open = (await running.coordinator.tasks.get("private" as never)).currentRound;
  expect(open).toMatchObject({ roundId: "private.2", participants: { selected: 2 } });
  expect(await running.coordinator.tasks.privacy("private" as never)).toEqual(spent);
  const log = await running.coordinator.audit.list({ limit: 1000 });
  expect(log.at(-1)?.record).toContain("store:restored");
});

test("[OPS11] a backup gets no path, overwrites nothing, and is an operator's to ask for", async () => {
  await using folder = await makeDataFolder();
  const backups = join(folder.path, "backups");
  await using running = await folder.start();
  await running.coordinator.tasks.create(plainTask);
  for (const name of [
    "../out",
    "a/b",
    "/etc/x",
    ".hidden",
    "a\\b",
    "..",
    "a b",
    "",
    "x".repeat(65),
    "ä",
  ]) {
    expect(await post(running.url, { name }), name).toMatchObject({
      status: 400,
      body: { code: "MALFORMED_MESSAGE" },
    });
  }
  expect(await post(running.url, { name: "a", directory: "/tmp" })).toMatchObject({ status: 400 });
  expect(await readdir(folder.path)).toEqual(["data"]);
  expect(await post(running.url, { name: "a" }, "another-token-of-16")).toMatchObject({
    status: 403,
  });

  expect(await post(running.url, { name: "a" })).toMatchObject({
    status: 201,
    body: { damaged: [] },
  });
  const before = await readFile(join(backups, "a", "tributary.sqlite"));
  expect(await post(running.url, { name: "a" })).toMatchObject({
    status: 409,
    body: { code: "BACKUP_EXISTS", message: expect.stringContaining('"a"') },
  });
  expect(await readFile(join(backups, "a", "tributary.sqlite"))).toEqual(before);
  // Even an empty folder or a file of that name is somebody's.
  await mkdir(join(backups, "b"));
  await writeFile(join(backups, "c"), "");
  for (const name of ["b", "c"])
    expect(await post(running.url, { name })).toMatchObject({ status: 409 });
  expect((await readdir(backups)).sort()).toEqual(["a", "b", "c"]);
});

test("[OPS11] without a place for them, and in memory, there are no backups, and the reason is told", async () => {
  await using folder = await makeDataFolder();
  const config = { server: { port: 0 }, auth: { adminToken: ADMIN } };
  for (const [storage, reason] of [
    [{ kind: "sqlite", directory: join(folder.path, "x") }, "storage.backupDirectory is not set"],
    [{ kind: "memory" }, "keeps everything in memory"],
  ] as const) {
    await using coordinator = await createCoordinator({
      config: { ...config, storage },
      logger: quiet,
    });
    const { url } = await coordinator.listen();
    expect(await post(url, { name: "a" })).toMatchObject({
      status: 422,
      body: { code: "CONFIG_INVALID", message: expect.stringContaining(reason) },
    });
  }
});

test("[OPS12] a backup that fails or is cut off by a crash leaves nothing that looks like one", async () => {
  await using folder = await makeDataFolder();
  const backups = join(folder.path, "backups");
  await using running = await folder.start();
  await running.coordinator.tasks.create(plainTask);
  // As kill -9 in mid-backup leaves it, beside what is the operator's own.
  const partial = `.old.${crypto.randomUUID()}.partial`;
  await mkdir(join(backups, partial, "checkpoints"), { recursive: true });
  await mkdir(join(backups, ".snapshots.partial"));
  await writeFile(join(backups, partial, "tributary.sqlite"), "half");
  expect(await post(running.url, { name: "a" })).toMatchObject({ status: 201 });
  expect((await readdir(backups)).sort()).toEqual([".snapshots.partial", "a"]);

  // A place that cannot be written: somebody put a file there.
  await rm(backups, { recursive: true });
  await writeFile(backups, "no directory");
  const failed = await post(running.url, { name: "b" });
  expect(failed).toMatchObject({ status: 503, body: { code: "UNAVAILABLE" } });
  expect(JSON.stringify(failed.body)).not.toContain(folder.path);
  await rm(backups);
  expect(await post(running.url, { name: "b" })).toMatchObject({ status: 201 });

  // A disk that fails while blobs are copied.
  const into = join(folder.path, "elsewhere");
  const data = join(folder.path, "other");
  const store = await createSqliteStore({ file: join(data, "tributary.sqlite") });
  const failing = createBackups(
    {
      store: {
        copyTo: async (file) => {
          await store.copyTo(file);
          throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        },
      },
      blobs: await createFileBlobs({ directory: join(data, "checkpoints") }),
      holdBlobs: () => () => {},
      clock: systemClock,
    },
    { from: data, into },
  );
  await expect(failing.create("a")).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: 'the backup "a" cannot be written: ENOSPC',
  });
  expect(await readdir(into)).toEqual([]);
  await store[Symbol.asyncDispose]();
});

test("[OPS13] rounds that commit and versions that are forgotten during a backup leave it whole", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start({
    storage: {
      kind: "sqlite",
      directory: join(folder.path, "data"),
      backupDirectory: join(folder.path, "backups"),
    },
    auth: { adminToken: ADMIN },
    retention: { rounds: 10, modelVersions: 2 },
  });
  const clients = await connectTwo(running.url);
  await running.coordinator.tasks.create(plainTask);
  const rounds = new AbortController();
  const backups = (async () => {
    let made = 0;
    for (; !rounds.signal.aborted; made++) {
      expect(await post(running.url, { name: `b${made}` })).toMatchObject({
        status: 201,
        body: { damaged: [] },
      });
    }
    return made;
  })();
  for (let round = 1; round <= 20; round++) await playRound(running, clients, "small");
  rounds.abort();
  const made = await backups;
  expect(made).toBeGreaterThan(1);
  const versions = new Set<number>();
  for (let i = 0; i < made; i++) {
    const report = await verifyStore(join(folder.path, "backups", `b${i}`));
    expect(report.faults).toEqual([]);
    versions.add(report.checked.auditEntries);
  }
  // They are of different instants, or nothing was proven.
  expect(versions.size).toBeGreaterThan(1);
  await disconnect(clients);
});

test("[OPS13] a second backup at the same time is asked to wait", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start();
  await running.coordinator.tasks.create(plainTask);
  const answers = await Promise.all([1, 2, 3].map((i) => post(running.url, { name: `b${i}` })));
  const codes = answers.map(({ status }) => status);
  expect(codes).toContain(201);
  for (const { status, body } of answers) {
    if (status !== 201) expect(body).toMatchObject({ code: "UNAVAILABLE", retryAfterMs: 5000 });
  }
});

test("[OPS14] nobody goes on from a backup of a private task unless an operator answers for its ledger", async () => {
  await using folder = await makeDataFolder();
  const backup = join(folder.path, "backups", "old");
  {
    await using running = await folder.start();
    const clients = await connectTwo(running.url);
    await running.coordinator.tasks.create(privateTask);
    await playRound(running, clients, "private");
    expect(await post(running.url, { name: "old" })).toMatchObject({ status: 201 });
    // Released, and out in the world: the backup knows nothing of it.
    await playRound(running, clients, "private");
    await disconnect(clients);
  }
  // A plain copy of the files is not a way around it, however often it is tried.
  const copy = join(folder.path, "copy");
  await cp(backup, copy, { recursive: true });
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(
      folder.start({ storage: { kind: "sqlite", directory: copy } }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringMatching(
        /backup of 20.*released since.*private.*--accept-older-ledger/,
      ),
    });
  }
  const data = join(folder.path, "restored");
  const refused = await run(folder, ["store", "restore", backup, "--data", data]);
  expect(refused).toMatchObject({ exitCode: 3, err: expect.stringContaining("released since") });
  expect(await readdir(data)).toEqual([]);
  expect(
    await run(folder, ["store", "restore", backup, "--data", data, "--accept-older-ledger"]),
  ).toMatchObject({
    exitCode: 0,
  });
  await using running = await folder.start({ storage: { kind: "sqlite", directory: data } });
  expect(await running.coordinator.tasks.privacy("private" as never)).toMatchObject({ rounds: 1 });
});

test("[OPS14] a backup without a private task that runs is gone on from, and the log says so", async () => {
  await using folder = await makeDataFolder();
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
    await running.coordinator.tasks.create(privateTask);
    await running.coordinator.tasks.cancel("private" as never);
    await post(running.url, { name: "a" });
  }
  const directory = join(folder.path, "backups", "a");
  const restored = await run(folder, ["store", "restore", directory, "--data", "restored"]);
  // What was taken from somebody after the backup is theirs again.
  expect(restored).toMatchObject({
    exitCode: 0,
    err: expect.stringMatching(/revoke again .*tokens list.* signing key .*keys list/),
  });
  for (const times of [1, 1]) {
    await using running = await folder.start({ storage: { kind: "sqlite", directory } });
    const log = await running.coordinator.audit.list({ limit: 1000 });
    expect(log.filter(({ record }) => record.includes("store:restored"))).toHaveLength(times);
  }
});

test("[MM18] a matrix run ends where anybody goes on from a backup of it: no step of it is released twice", async () => {
  await using folder = await makeDataFolder();
  const backup = join(folder.path, "backups", "old");
  let before: PrivacyResource;
  {
    await using running = await folder.start();
    const clients = await connectTwo(running.url);
    await running.coordinator.tasks.create(matrixTask);
    await playRound(running, clients, "matrix");
    await Promise.all(clients.map((client) => client.checkIn("matrix")));
    before = await running.coordinator.tasks.privacy("matrix" as never);
    expect(await post(running.url, { name: "old" })).toMatchObject({ status: 201 });
    // Released, and out in the world: step 1, which the backup would take again.
    await playRound(running, clients, "matrix");
    await disconnect(clients);
  }
  const data = join(folder.path, "restored");
  const copy = join(folder.path, "copy");
  await cp(backup, copy, { recursive: true });
  // Nobody has to answer for what cannot go on.
  expect(await run(folder, ["store", "restore", backup, "--data", data])).toMatchObject({
    exitCode: 0,
    err: expect.stringContaining('task "matrix" ends here'),
  });
  expect(await verifyStore(data)).toMatchObject({ faults: [], checked: { rounds: 2 } });
  // A plain copy of the files is not a way around it.
  for (const directory of [data, copy]) {
    await using running = await folder.start({ storage: { kind: "sqlite", directory } });
    const task = await running.coordinator.tasks.get("matrix" as never);
    expect(task).toMatchObject({ state: "ended", endReason: "noiseStateLost" });
    expect(task.checkpoint.modelVersion).toBe(1);
    const after = await running.coordinator.tasks.privacy("matrix" as never);
    expect(after).toMatchObject({ rounds: 1, epsilon: "epsilon" in before && before.epsilon });
    const [last] = (await running.coordinator.tasks.rounds("matrix" as never, { limit: 1 })).items;
    expect(last).toMatchObject({ roundNumber: 2, phase: "abandoned" });
    const [client, other] = await connectTwo(running.url);
    await expect(client!.checkIn("matrix")).rejects.toMatchObject({ code: "TASK_ENDED" });
    await disconnect([client!, other!]);
  }
});

test("[OPS15] a damaged backup is not restored, nor is one put over other data", async () => {
  await using folder = await makeDataFolder();
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
    await post(running.url, { name: "a" });
  }
  const backup = join(folder.path, "backups", "a");
  expect(await run(folder, ["store", "restore", backup, "--data", "data"])).toMatchObject({
    exitCode: 3,
    err: expect.stringContaining("is there already"),
  });
  expect(
    await run(folder, ["store", "restore", join(folder.path, "data"), "--data", "new"]),
  ).toMatchObject({
    exitCode: 3,
    err: expect.stringContaining("is no backup"),
  });
  const [blobFolder] = await readdir(join(backup, "checkpoints"));
  const [blob] = await readdir(join(backup, "checkpoints", blobFolder!));
  await truncate(join(backup, "checkpoints", blobFolder!, blob!), 10);
  expect(await run(folder, ["store", "restore", backup, "--data", "new"])).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining("is damaged"),
  });
  await expect(stat(join(folder.path, "new"))).rejects.toThrow("ENOENT");
});

test("[OPS15] nothing of other data may be left where a backup is restored: its log would become part of it", async () => {
  await using folder = await makeDataFolder();
  const [data, backup] = [join(folder.path, "data"), join(folder.path, "backups", "a")];
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
    await post(running.url, { name: "a" });
    const clients = await connectTwo(running.url);
    await playRound(running, clients, "small");
    await disconnect(clients);
    // As kill -9 leaves it.
    await cp(data, join(folder.path, "killed"), { recursive: true });
  }
  const killed = join(folder.path, "killed");
  await rm(join(killed, "tributary.sqlite"));
  const restore = () => run(folder, ["store", "restore", backup, "--data", "killed"]);
  for (const left of ["tributary.sqlite-wal", "checkpoints"]) {
    const before = await fingerprintOf(killed);
    expect(await restore()).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining(`${left} is there already`),
    });
    expect(await fingerprintOf(killed)).toEqual(before);
    await rm(join(killed, left), { recursive: true });
  }
  expect((await restore()).exitCode).toBe(0);
  expect(await verifyStore(killed)).toMatchObject({ faults: [], checked: { modelVersions: 1 } });
});

test("[OPS15] a restore that was cut off is done anew, without what it left", async () => {
  await using folder = await makeDataFolder();
  const [data, backup] = [join(folder.path, "data"), join(folder.path, "backups", "a")];
  const aside = join(data, "tributary.sqlite.restoring");
  const old = join(folder.path, "old");
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
    await post(running.url, { name: "a" });
    const clients = await connectTwo(running.url);
    await playRound(running, clients, "small");
    await disconnect(clients);
    await cp(data, old, { recursive: true });
  }
  await rm(data, { recursive: true });
  await cp(join(old, "checkpoints"), join(data, "checkpoints"), { recursive: true });
  await writeFile(aside, "half of it");
  await copyFile(join(old, "tributary.sqlite-wal"), `${aside}-wal`);
  await expect(folder.start()).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringContaining("tributary.sqlite is missing, and there are checkpoints"),
  });
  expect((await run(folder, ["store", "restore", backup, "--data", "data"])).exitCode).toBe(0);
  expect((await readdir(data)).sort()).toEqual(["checkpoints", "tributary.sqlite"]);
  expect(await verifyStore(data)).toMatchObject({
    faults: [],
    orphans: [],
    checked: { modelVersions: 1 },
  });
});

test("[OPS16] a blob that is damaged in the store is told, and keeps nothing else from being saved", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start();
  await running.coordinator.tasks.create(plainTask);
  const clients = await connectTwo(running.url);
  for (let round = 1; round <= 2; round++) await playRound(running, clients, "small");
  const { digest } = await running.coordinator.models.get("small" as never, 1);
  await truncate(join(folder.path, "data", "checkpoints", digest.slice(0, 2), digest), 10);
  expect(await post(running.url, { name: "a" })).toMatchObject({
    status: 201,
    body: { damaged: [digest] },
  });
  const cli = await run(folder, ["store", "backup", "b", "--url", running.url]);
  expect(cli).toMatchObject({ exitCode: 1, err: expect.stringContaining(digest) });
  const { faults } = await verifyStore(join(folder.path, "backups", "a"));
  expect(faults.map(({ where }) => where)).toEqual([`checkpoint ${digest}`]);
  await disconnect(clients);
});

test("[OPS18] encrypted data is verified, copied and restored with its key, and without it is called neither sound nor damaged", async () => {
  await using folder = await makeDataFolder();
  const encryptionKey = Buffer.alloc(32, 7).toString("base64");
  const data = join(folder.path, "data");
  const backup = join(folder.path, "backups", "a");
  {
    await using running = await folder.start({
      storage: {
        kind: "sqlite",
        directory: data,
        backupDirectory: join(folder.path, "backups"),
        encryptionKey,
      },
      auth: { adminToken: ADMIN },
    });
    const clients = await connectTwo(running.url);
    await running.coordinator.tasks.create(plainTask);
    await playRound(running, clients, "small");
    expect(await post(running.url, { name: "a" })).toMatchObject({
      status: 201,
      body: { damaged: [] },
    });
    await disconnect(clients);
  }
  const withKey = { TRIBUTARY_STORAGE_ENCRYPTION_KEY: encryptionKey };
  const otherKey = { TRIBUTARY_STORAGE_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString("base64") };
  for (const directory of [data, backup]) {
    const argv = ["store", "verify", "--directory", directory];
    expect(await run(folder, argv, withKey)).toMatchObject({ exitCode: 0 });
    for (const env of [{}, otherKey]) {
      expect(await run(folder, argv, env)).toMatchObject({
        exitCode: 3,
        err: expect.stringContaining("storage.encryptionKey"),
      });
    }
  }
  const restored = join(folder.path, "restored");
  const argv = ["store", "restore", backup, "--data", restored];
  expect(await run(folder, argv, withKey)).toMatchObject({ exitCode: 0 });
  await using running = await folder.start({
    storage: { kind: "sqlite", directory: restored, encryptionKey },
  });
  const task = await running.coordinator.tasks.get("small" as never);
  expect(task.checkpoint.modelVersion).toBe(1);
});

test("[OPS17] copying the database holds no commit up for long, and the copy is of one instant", async () => {
  await using folder = await makeDataFolder();
  const database = await openSqliteDatabase(join(folder.path, "a.sqlite"));
  const insert = database.prepare("INSERT INTO secrets (name, value) VALUES (?, ?)");
  // 40 MB, of which the copy takes longer than many commits.
  database.transaction(() => {
    for (let i = 0; i < 400; i++) insert.run(`big ${i}`, new Uint8Array(100_000).fill(i));
  });
  const copied = new AbortController();
  const copying = database.copyTo(join(folder.path, "b.sqlite")).finally(() => copied.abort());
  let commits = 0;
  while (!copied.signal.aborted) {
    // Two rows in one transaction: a copy has both or none.
    database.transaction(() => {
      insert.run(`left ${commits}`, new Uint8Array(1));
      insert.run(`right ${commits}`, new Uint8Array(1));
    });
    commits += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await copying;
  // Where the driver copies in one go, nothing can come in between.
  const builtin = process.getBuiltinModule("node:sqlite");
  if (builtin === undefined || "backup" in builtin) expect(commits).toBeGreaterThan(2);
  database.close();
  const copy = await openSqliteDatabase(join(folder.path, "b.sqlite"));
  const count = (pattern: string) =>
    Number(copy.prepare("SELECT count(*) AS n FROM secrets WHERE name LIKE ?").get(pattern)?.n);
  expect(count("big %")).toBe(400);
  expect(count("left %")).toBe(count("right %"));
  expect(Object.values(copy.prepare("PRAGMA integrity_check").get() ?? {})).toEqual(["ok"]);
  copy.close();
});
