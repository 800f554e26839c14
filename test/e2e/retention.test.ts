import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Assignment, ModelResource, RoundResource } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw } from "../support/raw-client.ts";

const update = (value: number) => ({
  delta: new Float32Array(7).fill(value),
  numExamples: 1,
  metrics: {},
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-retention-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const start = (retention: { rounds?: number; modelVersions?: number }) =>
  startCoordinator({ config: { storage: { kind: "sqlite", directory }, retention } });

async function play(
  running: RunningCoordinator,
  clients: readonly RawClient[],
  roundNumber: number,
): Promise<Assignment> {
  const ended = running.roundEnded(roundNumber);
  const replies = await Promise.all(clients.map((client) => client.checkIn("small")));
  let first: Assignment | undefined;
  for (const [i, client] of clients.entries()) {
    const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
    first ??= assignment;
    await client.report(assignment, replies[i]!.task.layout, update(1));
  }
  await ended;
  return first!;
}

const files = async () =>
  (await readdir(join(directory, "checkpoints"), { recursive: true })).filter(
    (name) => name.length > 60,
  );

interface Listed {
  readonly items: readonly (RoundResource & ModelResource)[];
}

/** Polls: what is forgotten goes a moment after the end of its round. */
async function eventually<T>(look: () => Promise<T>, accept: (seen: T) => boolean): Promise<T> {
  for (const until = Date.now() + 15_000; ;) {
    const seen = await look();
    if (accept(seen) || Date.now() > until) return seen;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("[OPS22] old rounds and versions go while rounds run, and training goes on, also after a restart", async () => {
  const answer = async (url: string) => {
    const response = await fetch(url);
    return { status: response.status, body: (await response.json()) as Listed };
  };
  let late: { assignment: Assignment; key: string };
  {
    await using running = await start({ rounds: 10, modelVersions: 2 });
    await running.coordinator.tasks.create(
      smallTask({ serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 } }),
    );
    const clients = await Promise.all([connectRaw(running.url), connectRaw(running.url)]);
    const first = await play(running, clients, 1);
    late = { assignment: first, key: clients[0].clientKey };
    for (let number = 2; number <= 13; number++) await play(running, clients, number);

    const base = `${running.url}/v1/tasks/small`;
    const rounds = await eventually(
      () => answer(`${base}/rounds`),
      ({ body }) => body.items.length === 10,
    );
    expect(rounds.body.items.map(({ roundNumber }) => roundNumber)).toEqual([
      13, 12, 11, 10, 9, 8, 7, 6, 5, 4,
    ]);
    const models = await answer(`${base}/models`);
    expect(models.body.items.map(({ modelVersion }) => modelVersion)).toEqual([13, 12]);
    expect((await answer(base)).body).toMatchObject({ roundsCommitted: 13 });
    // Two versions, each with its checkpoint and its optimizer's state.
    expect(await eventually(files, (names) => names.length === 4)).toHaveLength(4);

    expect(await answer(`${running.url}/v1/rounds/small.3`)).toMatchObject({
      status: 404,
      body: { code: "ROUND_NOT_FOUND", message: expect.stringContaining("not kept any more") },
    });
    for (const path of ["models/3", "checkpoints/3"]) {
      expect(await answer(`${base}/${path}`)).toMatchObject({
        status: 404,
        body: { code: "MODEL_NOT_FOUND", message: expect.stringContaining("not kept any more") },
      });
    }
    expect(await clients[0].put(late.assignment, new Uint8Array(8))).toMatchObject({
      status: 409,
      body: { code: "ROUND_CLOSED" },
    });
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }

  await using running = await start({ rounds: 10, modelVersions: 2 });
  const task = await running.coordinator.tasks.get("small" as never);
  expect(task).toMatchObject({ roundsCommitted: 13, checkpoint: { modelVersion: 13 } });
  const clients = await Promise.all([connectRaw(running.url), connectRaw(running.url)]);
  await play(running, clients, 14);
  const { items } = await running.coordinator.models.list("small" as never, { limit: 9 });
  expect(items[0]?.modelVersion).toBe(14);
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
});

test("[OPS20] without a setting everything stays; one that comes later holds from the next start", async () => {
  {
    await using running = await start({});
    await running.coordinator.tasks.create(smallTask());
    const clients = await Promise.all([connectRaw(running.url), connectRaw(running.url)]);
    for (let number = 1; number <= 12; number++) await play(running, clients, number);
    const page = await running.coordinator.tasks.rounds("small" as never, { limit: 50 });
    expect(page.items).toHaveLength(12);
    expect(await files()).toHaveLength(13);
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
  await using running = await start({ modelVersions: 3 });
  expect(await eventually(files, (names) => names.length === 3)).toHaveLength(3);
  const page = await running.coordinator.tasks.rounds("small" as never, { limit: 50 });
  expect(page.items).toHaveLength(12);
});
