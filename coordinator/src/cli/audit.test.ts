import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { routes } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Coordinator } from "../coordinator.ts";
import { createCoordinator } from "../coordinator.ts";
import { loadSqliteDriver } from "../storage/sqlite-driver.ts";
import { runCli } from "./run.ts";

const ADMIN = "admin-token-of-the-test";
const SPEC = { taskId: "digits", model: { tensors: [{ name: "w", shape: [2] }] } };
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const driver = await loadSqliteDriver();

let cwd: string;
let running: Coordinator | undefined;
let lines: object[];
/** Entries that the coordinator's own start made. */
let first: number;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-audit-cli-"));
  lines = [];
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  await rm(cwd, { recursive: true });
});

async function start(): Promise<string> {
  running = await createCoordinator({
    logger: { ...quiet, info: (fields, message) => void lines.push({ ...fields, message }) },
    config: {
      server: { port: 0 },
      storage: { kind: "sqlite", directory: join(cwd, "data") },
      auth: { adminToken: ADMIN },
    },
  });
  return (await running.listen()).url;
}
async function stop() {
  await running?.close();
  running = undefined;
}

async function audit(...argv: readonly string[]) {
  let out = "";
  let err = "";
  const exitCode = await runCli(["audit", ...argv], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: { TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN },
    cwd,
    isTTY: false,
    size: () => ({ columns: 200, rows: 24 }),
  });
  return { exitCode, out, err };
}

/** Does to the log what its triggers would refuse. */
async function tamper(sql: string) {
  const connection = driver.connect(join(cwd, "data", "tributary.sqlite"));
  for (const trigger of [
    "audit_grows_at_its_end",
    "audit_never_changes",
    "audit_forgets_nothing",
  ]) {
    connection.exec(`DROP TRIGGER ${trigger}`);
  }
  connection.exec(sql);
  connection.close();
}

/** A coordinator that was given a task by its program, and asked to pause it by API. */
async function live(): Promise<string> {
  const url = await start();
  first = (await running!.audit.head()).number;
  await running!.tasks.create(SPEC);
  await expect(running!.tasks.create(SPEC)).rejects.toMatchObject({ code: "TASK_EXISTS" });
  const response = await fetch(url + routes.pauseTask.path({ taskId: "digits" }), {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN}` },
  });
  expect(response.status).toBe(200);
  return url;
}

test("[AL14] what the program around the coordinator and what its operator asked for is told apart", async () => {
  const url = await live();
  const listed = await audit("list", "--url", url, "--json", "--after", `${first}`);
  const told = (JSON.parse(listed.out) as { record: string }[]).map(({ record }) => {
    const { actor, kind, facts } = JSON.parse(record) as Record<string, object>;
    return [actor, kind, facts];
  });
  expect(told).toMatchObject([
    ["program", "admin:requested", { action: "tasks.create" }],
    ["coordinator", "task:created", { taskId: "digits" }],
    ["coordinator", "model:published", { taskId: "digits", modelVersion: 0 }],
    ["program", "admin:answered", { request: first + 1, outcome: "ok" }],
    ["program", "admin:requested", { action: "tasks.create" }],
    ["program", "admin:answered", { request: first + 5, outcome: "TASK_EXISTS" }],
    ["operator", "admin:requested", { action: "POST /v1/tasks/:taskId/pause", taskId: "digits" }],
    ["coordinator", "task:stateChanged", { taskId: "digits", state: "paused" }],
    ["operator", "admin:answered", { request: first + 7, outcome: "ok" }],
  ]);
  const table = await audit("list", "--url", url, "--limit", "2", "--after", `${first + 1}`);
  expect(table.out).toMatch(/^ENTRY +AT +ACTOR +KIND +FACTS\n +\d+ .* coordinator +task:created +/);
  expect(table.err).toBe(`later ones: --after ${first + 3}\n`);
});

test("[AL14] a program that changes the signing key is told of, too", async () => {
  const url = await start();
  const { number } = await running!.audit.head();
  const { publicKey } = await running!.keys.rotate();
  const { out } = await audit("list", "--url", url, "--after", `${number}`);
  const lines = out.trimEnd().split("\n").slice(1);
  expect(lines).toHaveLength(3);
  expect(lines[0]).toContain("program      admin:requested  action=keys.rotate");
  expect(lines[1]).toContain(publicKey);
  expect(lines[2]).toContain(`program      admin:answered   request=${number + 1} outcome=ok`);
});

test("[AL15] `audit verify` follows the log of a running coordinator and of its stopped data, and gives the head", async () => {
  const url = await live();
  const { number, hash } = await running!.audit.head();
  expect(number).toBe(first + 9);
  const ok = { exitCode: 0, out: `${number} entries, unbroken; head ${number}:${hash}\n` };
  expect(await audit("verify", "--url", url)).toMatchObject(ok);
  // The file is the running coordinator's alone.
  const directory = ["--directory", join(cwd, "data")];
  expect(await audit("verify", ...directory)).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining("in use by another process"),
  });
  await stop();
  expect(await audit("verify", ...directory)).toMatchObject(ok);
  expect(await audit("verify", ...directory, "--json")).toMatchObject({
    exitCode: 0,
    out: `${JSON.stringify({ number, hash }, null, 2)}\n`,
  });
  expect(await audit("verify", "--directory", cwd)).toMatchObject({
    exitCode: 3,
    err: expect.stringContaining("is not there"),
  });

  await start();
  expect(lines).toContainEqual({ auditHead: `${number}:${hash}`, message: "audit log" });
});

test("[AL15] reading a stopped coordinator's log changes no byte of its data", async () => {
  await live();
  await stop();
  const file = join(cwd, "data", "tributary.sqlite");
  const before = await readFile(file);
  await audit("verify", "--directory", join(cwd, "data"));
  expect(await readFile(file)).toEqual(before);
});

test("[AL15] more entries than a page has are all followed", async () => {
  const url = await start();
  await running!.tasks.create(SPEC);
  // Each is two entries and a change of state.
  for (let i = 0; i < 340; i++)
    await running!.tasks[i % 2 === 0 ? "pause" : "resume"]("digits" as never);
  const { number } = await running!.audit.head();
  expect(number).toBeGreaterThan(1000);
  expect((await audit("verify", "--url", url)).out).toContain(`${number} entries, unbroken`);
});

test("[AL16] `audit verify` fails at the first entry that was changed, taken out or put in", async () => {
  await live();
  await stop();
  const data = join(cwd, "data", "tributary.sqlite");
  await copyFile(data, join(cwd, "good"));
  for (const [sql, entry] of [
    [
      "UPDATE audit SET record = replace(record, 'paused', 'ended') WHERE record LIKE '%\"paused\"%'",
      first + 8,
    ],
    [`DELETE FROM audit WHERE number = ${first + 5}`, first + 5],
    ["INSERT INTO audit SELECT 0, previous, record, hash FROM audit WHERE number = 1", 1],
  ] as const) {
    await copyFile(join(cwd, "good"), data);
    await tamper(sql);
    const verdict = await audit("verify", "--directory", join(cwd, "data"));
    expect(verdict).toMatchObject({ exitCode: 1, out: "" });
    expect(verdict.err).toContain(`the audit log is broken at entry ${entry}:`);
    // A running coordinator shows the same of itself.
    const url = await start();
    const remote = await audit("verify", "--url", url);
    expect(remote).toMatchObject({ exitCode: 1, err: verdict.err });
    await stop();
  }
});

test("[AL17] against a head that was kept elsewhere, a log that was cut off or written anew is found", async () => {
  await live();
  const { number, hash } = await running!.audit.head();
  await stop();
  const data = ["--directory", join(cwd, "data")];
  await copyFile(join(cwd, "data", "tributary.sqlite"), join(cwd, "good"));
  expect((await audit("verify", ...data, "--head", `${number}:${hash}`)).exitCode).toBe(0);
  expect((await audit("verify", ...data, "--head-file", "head")).exitCode).toBe(0);
  expect(await readFile(join(cwd, "head"), "utf8")).toBe(`${number}:${hash}\n`);

  await tamper(`DELETE FROM audit WHERE number > ${number - 2}`);
  // By itself a shorter log is a good log; that is why the head must be kept.
  expect((await audit("verify", ...data)).exitCode).toBe(0);
  for (const kept of [
    ["--head", `${number}:${hash}`],
    ["--head-file", "head"],
  ]) {
    expect(await audit("verify", ...data, ...kept)).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining(`was cut off: it ends at entry ${number - 2}`),
    });
  }
  expect(await readFile(join(cwd, "head"), "utf8")).toBe(`${number}:${hash}\n`);

  // Cut off and gone on, so that it is as long as before.
  await start();
  await running!.tasks.pause("digits" as never);
  await stop();
  expect((await audit("verify", ...data)).out).toContain(`${number} entries, unbroken`);
  expect(await audit("verify", ...data, "--head-file", "head")).toMatchObject({
    exitCode: 1,
    err: expect.stringContaining(`was rewritten: entry ${number} has the hash`),
  });

  await copyFile(join(cwd, "good"), join(cwd, "data", "tributary.sqlite"));
  await start();
  await running!.tasks.resume("digits" as never);
  const next = await running!.audit.head();
  await stop();
  expect((await audit("verify", ...data, "--head-file", "head")).exitCode).toBe(0);
  expect(await readFile(join(cwd, "head"), "utf8")).toBe(`${next.number}:${next.hash}\n`);
  await writeFile(join(cwd, "head"), "9");
  expect((await audit("verify", ...data, "--head-file", "head")).exitCode).toBe(3);
});
