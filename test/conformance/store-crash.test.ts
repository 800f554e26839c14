import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import { clientIds, commitOf, openRound, taskId, taskRecord, versionRecord } from "./records.ts";
import { expectChain, factsOf } from "./audit.ts";
import { everythingOf } from "./store.ts";

const A = taskId("a");

async function makeDirectory() {
  const path = await mkdtemp(join(tmpdir(), "tributary-crash-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** Starts `store-holder.ts` in a process of its own. */
function spawnHolder(file: string): ChildProcessWithoutNullStreams {
  const script = fileURLToPath(new URL("./store-holder.ts", import.meta.url));
  return spawn(
    process.execPath,
    ["--conditions=@tributary/source", "--import=jiti/register", script, file],
    // Where `jiti` is found from.
    { cwd: dirname(script) },
  );
}

/** Another process that owns the store and goes on committing. */
function startHolder(file: string) {
  const child = spawnHolder(file);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout });
  let last = 0;
  const heard = (number: number) =>
    new Promise<void>((resolve, reject) => {
      lines.on("line", (line) => {
        last = Number(line);
        if (last >= number) resolve();
      });
      child.once("exit", (code) => reject(new Error(`the holder ended early, with ${code}`)));
    });
  return {
    /** Resolves when the child has said that this round is committed. */
    heard,
    /** kill -9. @returns the last round that was heard of as committed */
    kill: async () => {
      const exited = once(child, "exit");
      const drained = once(lines, "close");
      child.kill("SIGKILL");
      await Promise.all([exited, drained]);
      return last;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, "exit");
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}

test("[ST23] what a call resolved for is there after kill -9, and the file is free again at once", async () => {
  await using directory = await makeDirectory();
  const file = join(directory.path, "store.sqlite");
  await using holder = startHolder(file);
  await holder.heard(5);

  await expect(createSqliteStore({ file })).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining(`${file} is in use by another process`),
  });

  const last = await holder.kill();
  await using store = await createSqliteStore({ file });
  const { committed } = await store.countRounds(A);
  // The kill may come between a commit and the word of it.
  expect([last, last + 1]).toContain(committed);
  expect((await store.latestModelVersion(A))?.modelVersion).toBe(committed);
  expect(await store.wasReported(openRound("a", last).roundId, clientIds(20)[19]!)).toBe(true);
  const next = openRound("a", committed + 2, { baseModelVersion: committed });
  const open = await store.getOpenRound(A);
  if (open !== undefined) await store.commitRound(commitOf(open.round, committed + 1));
  else await store.saveOpenRound(next);
});

test("[AL6] after kill -9 the log tells of exactly the rounds and versions that are there", async () => {
  await using directory = await makeDirectory();
  const file = join(directory.path, "store.sqlite");
  await using holder = startHolder(file);
  await holder.heard(5);
  await holder.kill();
  await using store = await createSqliteStore({ file });
  const { committed } = await store.countRounds(A);
  expectChain(await store.audit.list({ limit: 10_000 }));
  const told = (await factsOf(store)).filter(([kind]) => kind === "round:committed");
  expect(told.map(([, facts]) => facts.roundId)).toEqual(
    Array.from({ length: committed }, (_, i) => openRound("a", i + 1).roundId),
  );
});

test("[ST23] the files as a crash leaves them, after any call, open with all that was resolved", async () => {
  await using directory = await makeDirectory();
  const file = join(directory.path, "store.sqlite");
  await using store = await createSqliteStore({ file });
  const round = openRound("a", 1);
  const calls = [
    () => store.createTask(taskRecord("a"), versionRecord("a", 0)),
    () => store.saveOpenRound(round, clientIds(3)),
    () => store.commitRound(commitOf(round, 1)),
    () => store.setTaskState(A, "ended", "cancelled"),
  ];
  for (const [i, call] of calls.entries()) {
    await call();
    const image = join(directory.path, `image-${i}.sqlite`);
    await copyFile(file, image);
    await copyFile(`${file}-wal`, `${image}-wal`);
    expect((await stat(`${image}-wal`)).size).toBeGreaterThan(0);
    await using recovered = await createSqliteStore({ file: image });
    expect(await everythingOf(recovered, A, clientIds(3))).toStrictEqual(
      await everythingOf(store, A, clientIds(3)),
    );
  }
});

test("[ST24] a refused attempt in the owner's own process does not let another process in", async () => {
  await using directory = await makeDirectory();
  const file = join(directory.path, "store.sqlite");
  await using store = await createSqliteStore({ file });
  await store.createTask(taskRecord("b"), versionRecord("b", 0));
  await expect(createSqliteStore({ file })).rejects.toMatchObject({ code: "UNAVAILABLE" });

  const intruder = spawnHolder(file);
  let stderr = "";
  intruder.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  intruder.stdout.once("data", () => intruder.kill("SIGKILL"));
  const [code] = (await once(intruder, "close")) as [number | null];
  expect(stderr).toContain(`${file} is in use by another process`);
  expect(code).toBe(1);
  expect((await store.listTasks()).map((task) => task.taskId)).toEqual(["b"]);
});
