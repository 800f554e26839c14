import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FederatedError } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import { runCli } from "../run.ts";
import { readEvents } from "./read-events.fixture.ts";

const CREATED = "2026-01-02T03:04:05.678Z";
const FILE = "events.out.tfevents.1767323045.tributary";

let cwd: string;
let url: string;
let server: Server;
/** Numbers of the ended rounds of each task. */
let history: Map<string, number>;
let isPrivate: boolean;
let asked: string[];
/** What the page after the first is answered with, where it is to be a wrong one. */
let brokenPage: unknown;

const ended = (taskId: string, roundNumber: number) => ({
  roundId: `${taskId}.${roundNumber}`,
  taskId,
  roundNumber,
  // Each tenth comes to nothing.
  phase: roundNumber % 10 === 0 ? "abandoned" : "committed",
  ...(roundNumber % 10 === 0
    ? { reason: "tooFewReports" }
    : { modelVersion: versionOf(roundNumber) }),
  baseModelVersion: versionOf(roundNumber) - 1,
  openedAt: new Date(Date.parse(CREATED) + roundNumber * 60_000).toISOString(),
  endedAt: new Date(Date.parse(CREATED) + roundNumber * 60_000 + 30_500).toISOString(),
  participants: { selected: 10, reported: 9 },
  rejections: {},
  updateBytes: 4000,
  ...(roundNumber % 10 === 0
    ? {}
    : {
        evaluation: {
          source: "central",
          numExamples: 10,
          loss: 1 / roundNumber,
          accuracy: 0.5,
          modelVersion: versionOf(roundNumber),
        },
      }),
});
const versionOf = (roundNumber: number) => roundNumber - Math.floor(roundNumber / 10);

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "tributary-export-"));
  history = new Map();
  isPrivate = false;
  asked = [];
  brokenPage = undefined;
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
    asked.push(`${pathname}?${searchParams.toString()}`);
    const [, taskId = "", isRounds] = /^\/v1\/tasks\/([^/]+)(\/rounds)?$/.exec(pathname) ?? [];
    const answer = (value: unknown) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    const newest = history.get(taskId);
    if (newest === undefined) {
      const error = new FederatedError("TASK_NOT_FOUND", `there is no task "${taskId}"`);
      response
        .writeHead(404, { "content-type": "application/problem+json" })
        .end(JSON.stringify(error.toProblem()));
    } else if (isRounds === undefined) {
      const privacy = { mechanism: isPrivate ? "central" : "none" };
      answer({ taskId, createdAt: CREATED, spec: { taskId, description: "a | b\n# c", privacy } });
    } else if (brokenPage !== undefined && searchParams.has("before")) {
      answer(brokenPage);
    } else {
      const limit = Number(searchParams.get("limit"));
      // The newest is open still.
      const from = Math.min(Number(searchParams.get("before") ?? Infinity) - 1, newest + 1);
      const count = Math.min(limit, from);
      const items = Array.from({ length: count }, (_, i) => {
        const { endedAt, ...round } = ended(taskId, from - i);
        return from - i > newest ? { ...round, phase: "reporting" } : { ...round, endedAt };
      });
      answer({ items, ...(from > count ? { next: from - count + 1 } : {}) });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cwd, { recursive: true });
});

async function run(...argv: readonly string[]) {
  let out = "";
  let err = "";
  const exitCode = await runCli(["export", ...argv], {
    stdout: { write: (text) => void (out += text) },
    stderr: { write: (text) => void (err += text) },
    env: { TRIBUTARY_URL: url, TRIBUTARY_AUTH_ADMIN_TOKEN: "admin-token-of-the-test" },
    cwd,
    isTTY: false,
  });
  return { exitCode, out, err };
}

test("[EP6] the whole history comes page by page, oldest first, without the round that is open", async () => {
  history.set("digits", 450);
  const { exitCode, out, err } = await run("csv", "digits");
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  const rows = out.split("\r\n").slice(1, -1);
  const numbers = rows.map((row) => Number(row.split(",")[1]));
  expect(numbers).toEqual(Array.from({ length: 450 }, (_, i) => i + 1));
  expect(asked.filter((path) => path.includes("/rounds"))).toHaveLength(3);
});

test("[EP3] a task is a run: settings as text, rounds at their numbers, evaluations at their versions", async () => {
  history.set("digits", 12).set("other", 3);
  const { exitCode, out } = await run("tensorboard", "digits", "other", "digits", "--out", "runs");
  expect(exitCode).toBe(0);
  const files = ["digits", "other"].map((task) => join(cwd, "runs", task, FILE));
  expect(out).toBe(files.map((file) => `${file}\n`).join(""));
  const [version, text, ...events] = readEvents(await readFile(files[0]!));
  const createdAt = Date.parse(CREATED) / 1000;
  expect(version).toMatchObject({ wallTime: createdAt, fileVersion: "brain.Event:2" });
  expect(text).toMatchObject({ wallTime: createdAt, step: 0 });
  expect(text!.texts.task).toContain('    description: "a | b\\n# c"');
  const rounds = events.filter(({ scalars }) => "round/duration_seconds" in scalars);
  expect(rounds.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(rounds[9]).toMatchObject({
    wallTime: createdAt + 10 * 60 + 30.5,
    scalars: { "round/duration_seconds": 30.5, "round/committed": 0, "clients/reported": 9 },
  });
  const evaluations = events.filter(({ scalars }) => "evaluation/loss" in scalars);
  expect(evaluations.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(evaluations[9]!.scalars).toEqual({
    "evaluation/loss": Math.fround(1 / 11),
    "evaluation/accuracy": 0.5,
  });
  expect(await readdir(join(cwd, "runs", "digits"))).toEqual([FILE]);
});

test("[EP3] a later export begins with the bytes of the former one and takes its place", async () => {
  history.set("digits", 5);
  await run("tensorboard", "digits", "--out", "runs");
  const before = await readFile(join(cwd, "runs", "digits", FILE));
  // Whoever has the former one open sees it whole: the new one is a file of its own that takes the name.
  await link(join(cwd, "runs", "digits", FILE), join(cwd, "former"));
  history.set("digits", 25);
  await run("tensorboard", "digits", "--out", "runs");
  const after = await readFile(join(cwd, "runs", "digits", FILE));
  expect(after.length).toBeGreaterThan(before.length);
  expect(after.subarray(0, before.length).equals(before)).toBe(true);
  expect((await readFile(join(cwd, "former"))).equals(before)).toBe(true);
});

test("[EP7] a task without rounds gives a header, or settings alone, and says so", async () => {
  history.set("digits", 0);
  const csv = await run("csv", "digits", "--out", "digits.csv");
  const said = "digits: no round has ended yet\n";
  expect(csv).toEqual({ exitCode: 0, out: `${join(cwd, "digits.csv")}\n`, err: said });
  expect((await readFile(join(cwd, "digits.csv"), "utf8")).split("\r\n")).toHaveLength(2);
  expect((await run("tensorboard", "digits", "--out", ".")).err).toBe(said);
  expect(readEvents(await readFile(join(cwd, "digits", FILE)))).toHaveLength(2);
});

test("[EP7] a task that is not there, or no name of one, writes nothing of the others either", async () => {
  history.set("digits", 5);
  const missing = await run("tensorboard", "digits", "nowhere", "--out", "runs");
  expect(missing).toMatchObject({ exitCode: 4, out: "" });
  expect(missing.err).toContain('TASK_NOT_FOUND there is no task "nowhere"');
  const bad = await run("tensorboard", "digits", "../up", "--out", "runs");
  expect(bad).toMatchObject({ exitCode: 1, out: "" });
  expect(bad.err).toContain("MALFORMED_MESSAGE");
  expect((await run("csv", "nowhere", "--out", "x.csv")).exitCode).toBe(4);
  expect((await run("tensorboard", "digits")).exitCode).toBe(2);
  expect(await readdir(cwd)).toEqual([]);
});

test("[EP7] a place that cannot be written is told with its reason, and what was there stays", async () => {
  history.set("digits", 5);
  await writeFile(join(cwd, "file"), "mine");
  const inFile = await run("tensorboard", "digits", "--out", "file");
  expect(inFile).toMatchObject({ exitCode: 3, out: "" });
  expect(inFile.err).toMatch(/^error: CONFIG_INVALID cannot write .*file.*: E/);
  expect((await run("csv", "digits", "--out", "none/x.csv")).err).toContain("ENOENT");
  await mkdir(join(cwd, "taken"));
  expect((await run("csv", "digits", "--out", "taken")).err).toContain("cannot write");
  // What was written aside is gone again.
  expect((await readdir(cwd)).sort()).toEqual(["file", "taken"]);
  expect(await readFile(join(cwd, "file"), "utf8")).toBe("mine");
});

test("[EP7] a history that breaks off, or is none, leaves the former export as it was", async () => {
  history.set("digits", 250);
  await run("csv", "digits", "--out", "digits.csv");
  const before = await readFile(join(cwd, "digits.csv"), "utf8");
  const page = (item: object) => ({ items: [{ ...ended("digits", 3), ...item }] });
  for (const broken of [
    {},
    { items: [], next: 10_000 },
    { items: [], next: -1 },
    page({ endedAt: "yesterday" }),
    page({ roundNumber: "=1" }),
  ]) {
    brokenPage = broken;
    const { exitCode, err } = await run("csv", "digits", "--out", "digits.csv");
    expect(exitCode).toBe(1);
    expect(err).toContain("MALFORMED_MESSAGE");
  }
  expect(await readFile(join(cwd, "digits.csv"), "utf8")).toBe(before);
  expect(await readdir(cwd)).toEqual(["digits.csv"]);
});

test("[EP7] the run of another coordinator's task of that name is not written into", async () => {
  history.set("digits", 5);
  await mkdir(join(cwd, "runs", "digits"), { recursive: true });
  await writeFile(join(cwd, "runs", "digits", "events.out.tfevents.1.other"), "theirs");
  const { exitCode, err } = await run("tensorboard", "digits", "--out", "runs");
  expect(exitCode).toBe(3);
  expect(err).toContain("events.out.tfevents.1.other of another run");
  expect(await readdir(join(cwd, "runs", "digits"))).toHaveLength(1);
});

test("[EP8] whoever exports a private task's counts is told whose they are", async () => {
  isPrivate = true;
  history.set("digits", 5);
  const warning = "warning: digits is private, and this holds counts";
  expect((await run("csv", "digits")).err).toContain(warning);
  expect((await run("tensorboard", "digits", "--out", "runs")).err).toContain(warning);
  isPrivate = false;
  expect((await run("csv", "digits")).err).toBe("");
});
