import { existsSync } from "node:fs";
import { cp, open, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawn } from "node:child_process";
import { once } from "node:events";

import type { Digest } from "@tributary/protocol";
import { expect, test } from "vitest";

import { loadSqliteDriver } from "../../coordinator/src/storage/sqlite-driver.ts";
import { runCli } from "../../coordinator/src/cli/run.ts";
import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import {
  ADMIN,
  connectTwo,
  disconnect,
  makeDataFolder,
  plainTask,
  playRound,
  privateTask,
} from "../support/data.ts";
import { limitFileSize } from "../support/file-size.ts";

const driver = await loadSqliteDriver();

const fileOf = (data: string, digest: string) =>
  join(data, "checkpoints", digest.slice(0, 2), digest);

test("[DSK2] a damaged or missing file of the newest version stops the start, by digest; mended, it starts", async () => {
  await using folder = await makeDataFolder();
  const data = join(folder.path, "data");
  {
    await using running = await folder.start();
    const clients = await connectTwo(running.url);
    await running.coordinator.tasks.create(plainTask);
    await playRound(running, clients, "small");
    await disconnect(clients);
  }
  const connection = driver.connect(join(data, "tributary.sqlite"));
  const row = connection
    .prepare(
      `SELECT record ->> 'digest' AS digest, record ->> 'optimizerState' AS state
       FROM model_versions WHERE model_version = 1`,
    )
    .get() as { digest: Digest; state: Digest };
  connection.close();
  for (const digest of [row.digest, row.state]) {
    const file = fileOf(data, digest);
    const sound = await readFile(file);
    const damages = [
      () => truncate(file, 10),
      () => truncate(file, 0),
      () =>
        writeFile(
          file,
          sound.map(() => 0),
        ),
      () => rm(file),
    ];
    for (const damage of damages) {
      await damage();
      await expect(folder.start()).rejects.toMatchObject({
        code: "CHECKPOINT_CORRUPT",
        message: expect.stringMatching(
          new RegExp(`^task "small" cannot go on: .*${digest}.*store verify`),
        ),
      });
      await writeFile(file, sound);
    }
  }
  await using running = await folder.start();
  expect((await running.coordinator.tasks.get("small" as never)).checkpoint.modelVersion).toBe(1);
});

test("[DSK4] a checkpoint damaged while the coordinator runs is never handed out, and rounds go on", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start({
    storage: { kind: "sqlite", directory: join(folder.path, "data") },
    checkpoints: { keepInMemory: 1 },
  });
  const clients = await connectTwo(running.url);
  await running.coordinator.tasks.create(plainTask);
  for (let round = 1; round <= 2; round++) await playRound(running, clients, "small");
  const { digest } = await running.coordinator.models.get("small" as never, 1);
  await truncate(fileOf(join(folder.path, "data"), digest), 20);
  const response = await fetch(`${running.url}/v1/checkpoints/${digest}`);
  expect(response.status).toBe(502);
  expect(await response.json()).toMatchObject({ code: "CHECKPOINT_CORRUPT" });
  await playRound(running, clients, "small");
  expect((await running.coordinator.tasks.get("small" as never)).checkpoint.modelVersion).toBe(3);
  await disconnect(clients);
});

test("[DSK3] while the disk is full nothing is announced that is not stored; with room rounds go on by themselves", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start();
  const clients = await connectTwo(running.url);
  await running.coordinator.tasks.create(privateTask);
  await playRound(running, clients, "private");
  const published: number[] = [];
  running.coordinator.events.subscribe((event) => {
    if (event.type === "model:published") published.push(event.data.modelVersion);
  });
  const database = join(folder.path, "data", "tributary.sqlite");
  const before = await readFile(`${database}-wal`).then((bytes) => bytes.length);
  // The log may not grow by a page: the next commit finds no room.
  const limited = await limitFileSize(before);
  // Only Linux can take room away from a process and give it back.
  if (process.platform === "linux") expect(limited).toBe(true);
  try {
    if (limited) {
      await expect(
        clients[0]!.checkIn("private").then(() => clients[1]!.checkIn("private")),
      ).rejects.toMatchObject({
        code: "UNAVAILABLE",
      });
      expect((await fetch(`${running.url}/readyz`)).status).toBe(503);
      expect(published).toEqual([]);
    }
  } finally {
    await limitFileSize("unlimited");
  }
  const ready = async () => (await fetch(`${running.url}/readyz`)).status;
  for (const until = Date.now() + 15_000; (await ready()) !== 200 && Date.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // The engine loads the task again by itself.
  for (const until = Date.now() + 15_000; ;) {
    const answer = await clients[0]!.checkIn("private").catch(() => undefined);
    if (answer !== undefined || Date.now() > until) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await playRound(running, clients, "private");
  expect(published).toEqual([2]);
  expect(await running.coordinator.tasks.privacy("private" as never)).toMatchObject({ rounds: 2 });
  await disconnect(clients);
  await running.coordinator.close();
  expect((await verifyStore(join(folder.path, "data"))).faults).toEqual([]);
});

test.skipIf(!existsSync("/dev/full"))(
  "[MO13] a log whose disk is full or whose reader is gone ends nothing",
  async () => {
    const cli = fileURLToPath(new URL("../../coordinator/src/cli/main.ts", import.meta.url));
    const source = ["--conditions=@tributary/source", "--import=jiti/register", cli];
    await using full = await open("/dev/full", "w");
    for (const log of ["pipe", full.fd] as const) {
      const child = spawn(process.execPath, [...source, "start", "--memory", "--port", "0"], {
        // Where `jiti` is found from.
        cwd: dirname(fileURLToPath(import.meta.url)),
        env: { PATH: process.env.PATH },
        stdio: ["ignore", "pipe", log],
      });
      try {
        child.stderr?.destroy();
        const [address] = (await once(child.stdout!, "data", {
          signal: AbortSignal.timeout(30_000),
        })) as [Buffer];
        const [, url = ""] = /listening on (\S+)/.exec(String(address)) ?? [];
        expect((await fetch(`${url}/readyz`)).status).toBe(200);
        const exited = once(child, "exit");
        child.kill("SIGTERM");
        expect(await exited).toEqual([0, null]);
      } finally {
        child.kill("SIGKILL");
      }
    }
  },
);

test("[DSK5] a coordinator that is closed while the disk is full ends well, and the next start has everything", async () => {
  await using folder = await makeDataFolder();
  const running = await folder.start();
  const clients = await connectTwo(running.url);
  await running.coordinator.tasks.create(privateTask);
  await playRound(running, clients, "private");
  await disconnect(clients);
  // What is in the log does not fit into the database.
  const limited = await limitFileSize(4096);
  try {
    await running.coordinator.close();
  } finally {
    await limitFileSize("unlimited");
  }
  // Only where there is a limit does the log stay: else this would prove nothing.
  const log = await stat(join(folder.path, "data", "tributary.sqlite-wal")).catch(() => undefined);
  expect(log !== undefined && log.size > 0).toBe(limited);
  // A copy: with the SQLite package a connection that could not be closed well lives until it is collected.
  const copy = join(folder.path, "copy");
  await cp(join(folder.path, "data"), copy, { recursive: true });
  expect(await verifyStore(copy)).toMatchObject({
    faults: [],
    checked: { modelVersions: 2, charges: 1 },
  });
});

test("[DSK6] a first start and a restore that find the disk full say so, and leave nothing in the way of the next", async () => {
  await using folder = await makeDataFolder();
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
    const answer = await fetch(`${running.url}/v1/backups`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "a" }),
    });
    expect(answer.status).toBe(201);
  }
  let err = "";
  const run = (argv: readonly string[], signal?: AbortSignal) =>
    runCli(argv, {
      stdout: { write: () => undefined },
      stderr: { write: (text) => void (err += text) },
      env: {},
      cwd: folder.path,
      isTTY: false,
      ...(signal === undefined ? {} : { signal }),
    });
  const backup = join(folder.path, "backups", "a");
  // The copy that is verified first has to fit, what is larger than a file of it has not.
  const limited = await limitFileSize(4096);
  try {
    if (limited) {
      expect(await run(["store", "restore", backup, "--data", "restored"])).not.toBe(0);
      await limitFileSize(0);
      expect(await run(["start", "--data", "new", "--port", "0"])).toBe(1);
      expect(err).toMatch(/UNAVAILABLE .*admin-token cannot be written: EFBIG/);
    }
  } finally {
    await limitFileSize("unlimited");
  }
  expect(await readdir(join(folder.path, "new")).catch(() => [])).toEqual([]);
  expect(await run(["store", "restore", backup, "--data", "restored"])).toBe(0);
  expect((await verifyStore(join(folder.path, "restored"))).faults).toEqual([]);
  // Interrupted as soon as it runs.
  expect(await run(["start", "--data", "new", "--port", "0"], AbortSignal.abort())).toBe(0);
});
