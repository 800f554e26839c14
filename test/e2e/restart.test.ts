import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { RoundResource, TaskId, TaskResource } from "@tributary/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { makeDataFolder, plainTask } from "../support/data.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const ADMIN = "an-admin-token-for-tests";
const CLI = fileURLToPath(new URL("../../coordinator/dist/cli/main.js", import.meta.url));
const update = (value: number) => ({
  delta: new Float32Array(7).fill(value),
  numExamples: 1,
  metrics: {},
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-restart-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** `tributary start` as its own process, ready to serve. */
async function startProcess(
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(
    process.execPath,
    [CLI, "start", "--port", String(port), "--data", directory],
    {
      env: { PATH: process.env.PATH, TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN, ...env },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let log = "";
  child.stderr.on("data", (chunk) => (log += String(chunk)));
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 200; i++) {
    if (child.exitCode !== null) throw new Error(`the coordinator exited: ${log}`);
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return { process: child, url };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the coordinator did not get ready: ${log}`);
}

async function killHard(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

const get = async <T>(url: string) => (await (await fetch(url)).json()) as T;

/** Plays one whole round with two clients. */
async function playRound(url: string, keys: readonly string[], value: number): Promise<void> {
  const clients = await Promise.all(keys.map((clientKey) => connectRaw(url, { clientKey })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  await Promise.all(
    clients.map(async (client, i) => {
      const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
      await client.report(assignment, replies[i]!.task.layout, update(value));
      await client.nextClosed();
    }),
  );
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
}

describe("kill -9 of a real coordinator process", () => {
  test("[RS1] between rounds: goes on from the last version, with all of its history", async () => {
    const port = await freePort();
    const keys = [newClientKey(), newClientKey()];
    let running = await startProcess(port);
    const created = await fetch(`${running.url}/v1/tasks`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({
        spec: smallTask({ serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 } }),
      }),
    });
    expect(created.status).toBe(201);
    await playRound(running.url, keys, 1);
    const before = await get<{ items: RoundResource[] }>(`${running.url}/v1/tasks/small/rounds`);
    await killHard(running.process);

    running = await startProcess(port);
    try {
      const task = await get<TaskResource>(`${running.url}/v1/tasks/small`);
      expect(task).toMatchObject({ checkpoint: { modelVersion: 1 }, roundsCommitted: 1 });
      const metrics = await (await fetch(`${running.url}/metrics`)).text();
      expect(metrics).toContain('tributary_model_version{task="small"} 1');
      const after = await get<{ items: RoundResource[] }>(`${running.url}/v1/tasks/small/rounds`);
      expect(after.items.filter((round) => round.phase === "committed")).toEqual(
        before.items.filter((round) => round.phase === "committed"),
      );
      await playRound(running.url, keys, 1);
      const checkpoint = await fetch(`${running.url}/v1/tasks/small/checkpoints/latest`);
      const frame = new Uint8Array(await checkpoint.arrayBuffer());
      // momentum went on: 1, then 1 + (0.5 * 1 + 1)
      const weights = new Float32Array(frame.slice(64).buffer);
      expect([...weights]).toEqual(new Array(7).fill(2.5));
    } finally {
      await killHard(running.process);
    }
  });

  test("[LIM12] in mid-round: the places that were given stay used", async () => {
    const port = await freePort();
    const keys = [newClientKey(), newClientKey()];
    const quota = { TRIBUTARY_LIMITS_ROUNDS_PER_CLIENT_PER_DAY: "1" };
    let running = await startProcess(port, quota);
    const created = await fetch(`${running.url}/v1/tasks`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ spec: smallTask({ schedule: { reportWindowMs: 60_000 } }) }),
    });
    expect(created.status).toBe(201);
    const before = await Promise.all(
      keys.map((clientKey) => connectRaw(running.url, { clientKey })),
    );
    await Promise.all(before.map((client) => client.checkIn(TASK)));
    await Promise.all(before.map((client) => client.nextAssignment()));
    await killHard(running.process);
    await Promise.all(before.map((client) => client[Symbol.asyncDispose]()));

    running = await startProcess(port, quota);
    try {
      await playRound(running.url, keys, 1);
      for (const clientKey of keys) {
        await using client = await connectRaw(running.url, { clientKey });
        await expect(client.checkIn(TASK)).rejects.toMatchObject({
          code: "RATE_LIMITED",
          details: { limit: "roundsPerClientPerDay" },
        });
      }
    } finally {
      await killHard(running.process);
    }
  });

  test("[RS2] in mid-round: the round opens again with its cohort, and the same bytes are counted once", async () => {
    const port = await freePort();
    let running = await startProcess(port);
    await fetch(`${running.url}/v1/tasks`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ spec: smallTask({ schedule: { reportWindowMs: 30_000 } }) }),
    });
    const keys = [newClientKey(), newClientKey()];
    const [first, second] = (await Promise.all(
      keys.map((clientKey) => connectRaw(running.url, { clientKey })),
    )) as [RawClient, RawClient];
    const [reply] = await Promise.all([first.checkIn(TASK), second.checkIn(TASK)]);
    const assignment = await first.nextAssignment();
    expect(await first.report(assignment, reply.task.layout, update(3))).toMatchObject({
      status: "accepted",
    });
    await killHard(running.process);
    await Promise.all([first, second].map((client) => client[Symbol.asyncDispose]()));

    running = await startProcess(port);
    try {
      // The token of before the kill is still good, and so are the bytes.
      await using again = await connectRaw(running.url, { clientKey: keys[0]! });
      expect((await again.checkIn(TASK)).assignment).toMatchObject({
        roundId: assignment.roundId,
        reported: false,
      });
      const receipt = await again.report(assignment, reply.task.layout, update(3));
      expect(receipt).toMatchObject({ status: "accepted", duplicate: false });
      await using other = await connectRaw(running.url, { clientKey: keys[1]! });
      const { assignment: theirs } = await other.checkIn(TASK);
      await other.report(theirs!, reply.task.layout, update(1));
      expect(await again.nextClosed()).toMatchObject({ outcome: "committed", modelVersion: 1 });
      const round = await get<RoundResource>(`${running.url}/v1/rounds/small.1`);
      expect(round.participants).toMatchObject({ selected: 2, reported: 2 });
    } finally {
      await killHard(running.process);
    }
  });
});

test("[ST45] without its database a coordinator does not begin anew beside the checkpoints that it had", async () => {
  await using folder = await makeDataFolder();
  const file = join(folder.path, "data", "tributary.sqlite");
  {
    await using running = await folder.start();
    await running.coordinator.tasks.create(plainTask);
  }
  const whole = await readFile(file);
  for (const [what, damage] of [
    ["is empty", () => truncate(file, 0)],
    ["is missing", () => rm(file)],
  ] as const) {
    await damage();
    await expect(folder.start()).rejects.toMatchObject({
      code: "INTERNAL",
      message: expect.stringContaining(`${file} ${what}, and there are checkpoints beside it`),
    });
  }
  await expect(stat(file)).rejects.toThrow("ENOENT");
  await writeFile(file, whole);
  await using running = await folder.start();
  expect(await running.coordinator.tasks.list()).toMatchObject([{ taskId: "small" }]);
});

test("[RS3] a second coordinator on the same data refuses to start", async () => {
  const storage = { kind: "sqlite", directory } as const;
  await using running = await startCoordinator({ config: { storage } });
  expect(running.url).toContain("127.0.0.1");
  await expect(startCoordinator({ config: { storage } })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});

test("[RS4] the privacy ledger survives a restart, and the budget with it", async () => {
  const storage = { kind: "sqlite", directory } as const;
  const task = smallTask({
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 2, delta: 1e-5, maxEpsilon: 4 },
  });
  const keys = [newClientKey(), newClientKey()];
  let spent: number;
  {
    await using running = await startCoordinator({ config: { storage } });
    await running.coordinator.tasks.create(task);
    await playRound(running.url, keys, 0.1);
    const privacy = await running.coordinator.tasks.privacy(TASK);
    expect(privacy).toMatchObject({ mechanism: "central", rounds: 1 });
    spent = privacy.mechanism === "central" ? privacy.epsilon : 0;
    expect(spent).toBeGreaterThan(0);
  }
  await using running = await startCoordinator({ config: { storage } });
  expect(await running.coordinator.tasks.privacy(TASK)).toMatchObject({
    epsilon: spent,
    rounds: 1,
  });
  // It goes on until the budget is used up, and ends before it is exceeded.
  for (;;) {
    const { state } = await running.coordinator.tasks.get(TASK);
    if (state === "ended") break;
    await playRound(running.url, keys, 0.1);
  }
  const end = await running.coordinator.tasks.get(TASK);
  expect(end.endReason).toBe("privacyBudgetExhausted");
  const privacy = await running.coordinator.tasks.privacy(TASK);
  if (privacy.mechanism !== "central") throw new Error("the task has lost its mechanism");
  expect(privacy.epsilon).toBeLessThanOrEqual(4);
  expect(privacy.roundsLeft).toBe(0);
  expect(privacy.rounds).toBe(end.roundsCommitted);
});
