import { once } from "node:events";
import { connect } from "node:net";

import type { Assignment, Layout, RoundResource, TaskId } from "@tributary/protocol";
import { decodeCheckpoint, encodeUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw, newClientKey } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const ROUND = `${TASK}.1`;
const update = (value: number) => ({
  delta: new Float32Array(7).fill(value),
  numExamples: 1,
  metrics: {},
});

interface Seat {
  readonly client: RawClient;
  readonly assignment: Assignment;
  readonly layout: Layout;
}

/** Each key's client with its place in the open round. */
async function seatAll(url: string, keys: readonly string[]): Promise<Seat[]> {
  const clients = await Promise.all(keys.map((clientKey) => connectRaw(url, { clientKey })));
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  return Promise.all(
    clients.map(async (client, i) => ({
      client,
      assignment: replies[i]!.assignment ?? (await client.nextAssignment()),
      layout: replies[i]!.task.layout,
    })),
  );
}

/** The task of two places, with uniform weights: the model is the mean of two updates. */
async function startTask(running: RunningCoordinator): Promise<void> {
  const schedule = { reportWindowMs: 60_000 };
  await running.coordinator.tasks.create(smallTask({ weighting: { kind: "uniform" }, schedule }));
}

async function firstWeight({ coordinator }: RunningCoordinator): Promise<number> {
  const { digest } = await coordinator.models.get(TASK, "latest");
  const { layout } = await coordinator.tasks.get(TASK);
  return decodeCheckpoint(layout, await coordinator.models.checkpoint(digest)).weights[0]!;
}

const openRound = async ({ coordinator }: RunningCoordinator): Promise<RoundResource> =>
  coordinator.tasks.round(ROUND as never);

test("[CH30] the same update many times at once counts once, and so it does however often it comes later", async () => {
  await using running = await startCoordinator();
  await startTask(running);
  const [a, b] = (await seatAll(running.url, [newClientKey(), newClientKey()])) as [Seat, Seat];
  const bytes = encodeUpdate(a.layout, update(1));
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => a.client.put(a.assignment, bytes)),
  );
  // A newer upload takes the place of an older one, whose sender may come again.
  for (const { status, body } of answers) {
    if (status === 200) expect(body).toMatchObject({ status: "accepted" });
    else expect(body.code).toBe("ABORTED");
  }
  const counted = answers.filter(({ status, body }) => status === 200 && body.duplicate === false);
  expect(counted).toHaveLength(1);
  expect((await a.client.put(a.assignment, bytes)).body).toMatchObject({ duplicate: true });
  expect((await openRound(running)).participants).toMatchObject({ reported: 1, pending: 1 });

  await b.client.report(b.assignment, b.layout, update(5));
  expect(await a.client.nextClosed()).toMatchObject({ outcome: "committed" });
  for (let i = 0; i < 3; i++) {
    expect((await a.client.put(a.assignment, bytes)).body).toMatchObject({
      status: "committed",
      modelVersion: 1,
    });
  }
  expect(await firstWeight(running)).toBe(3);
  expect((await openRound(running)).participants?.reported).toBe(2);
});

test("[CH30] of two updates of one participant the first that arrived whole counts, in whatever order they were sent", async () => {
  await using running = await startCoordinator();
  await startTask(running);
  const [a, b] = (await seatAll(running.url, [newClientKey(), newClientKey()])) as [Seat, Seat];
  const older = encodeUpdate(a.layout, update(1));
  const newer = encodeUpdate(a.layout, update(9));
  expect((await a.client.put(a.assignment, newer)).status).toBe(200);
  // The older one was under way for longer.
  expect((await a.client.put(a.assignment, older)).body.code).toBe("UPDATE_CONFLICT");
  expect((await a.client.put(a.assignment, newer)).body).toMatchObject({ duplicate: true });
  await b.client.report(b.assignment, b.layout, update(1));
  await a.client.nextClosed();
  expect(await firstWeight(running)).toBe(5);
});

test("[CH31] a client with two connections has one place: it is told to the newer one, and known to both", async () => {
  await using running = await startCoordinator();
  await startTask(running);
  const key = newClientKey();
  const [older, other] = await seatBoth(running.url, key);
  const newer = await connectRaw(running.url, { clientKey: key });
  await newer.checkIn(TASK);
  const early = await other.checkIn(TASK);
  const assignment = await newer.nextAssignment();
  const place = (await older.checkIn(TASK)).assignment;
  expect(place).toMatchObject({ roundId: assignment.roundId, reported: false });
  expect((await openRound(running)).participants?.selected).toBe(2);

  // The newer one goes: the client has not, and its place is still there.
  newer.socket.close();
  const bytes = encodeUpdate(early.task.layout, update(1));
  expect((await older.put(place!, bytes)).body).toMatchObject({ duplicate: false });
  expect((await older.put(assignment, bytes)).body).toMatchObject({ duplicate: true });
  expect((await older.checkIn(TASK)).assignment).toMatchObject({ reported: true });
  const seat = early.assignment ?? (await other.nextAssignment());
  await other.report(seat, early.task.layout, update(3));
  expect(await older.nextClosed()).toMatchObject({ outcome: "committed" });
  expect(await firstWeight(running)).toBe(2);
  expect((await openRound(running)).participants).toMatchObject({ reported: 2, disconnected: 0 });
});

/** The older connection of a client that will have two, and another client; neither has checked in. */
const seatBoth = (url: string, key: string) =>
  Promise.all([connectRaw(url, { clientKey: key }), connectRaw(url)]);

test("[CH31] a connection that takes leave takes nothing from the client's other one: that goes on with its place", async () => {
  await using running = await startCoordinator();
  await startTask(running);
  const key = newClientKey();
  const [older, other] = await seatBoth(running.url, key);
  const newer = await connectRaw(running.url, { clientKey: key });
  await older.checkIn(TASK);
  await newer.checkIn(TASK);
  // Still waiting: the client stays in the line.
  await newer.ask("leave", { taskId: TASK });
  await newer.checkIn(TASK);
  const early = await other.checkIn(TASK);
  const { roundId } = await newer.nextAssignment();
  await newer.ask("leave", { taskId: TASK });
  const assignment = await older.nextAssignment();
  expect(assignment).toMatchObject({ roundId, reported: false });
  const bytes = encodeUpdate(early.task.layout, update(1));
  expect((await older.put(assignment, bytes)).body).toMatchObject({ status: "accepted" });
  // The last one to leave gives the place up.
  await newer.checkIn(TASK);
  await other.ask("leave", { taskId: TASK });
  expect(await older.nextClosed()).toMatchObject({ outcome: "abandoned" });
  expect((await running.roundEnded(1)).participants).toMatchObject({ reported: 1, left: 1 });
});

/** Sends the first `count` bytes of the request's body and breaks the connection. */
async function cutAfter(url: string, { update }: Assignment, bytes: Uint8Array, count: number) {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const head =
    `PUT ${update.url} HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${update.token}\r\n` +
    `content-type: application/octet-stream\r\ncontent-length: ${bytes.length}\r\n\r\n`;
  await new Promise<void>((resolve) => {
    socket.write(Buffer.concat([Buffer.from(head), bytes.subarray(0, count)]), () => resolve());
  });
  socket.resetAndDestroy();
  await once(socket, "close");
}

test("[CH32] an upload that breaks off after any number of bytes counts nothing, and once when it comes again", async () => {
  await using running = await startCoordinator();
  await startTask(running);
  const [a, b] = (await seatAll(running.url, [newClientKey(), newClientKey()])) as [Seat, Seat];
  const bytes = encodeUpdate(a.layout, update(1));
  for (let count = 0; count < bytes.length; count++) {
    await cutAfter(running.url, a.assignment, bytes, count);
  }
  expect((await openRound(running)).participants).toMatchObject({ reported: 0, rejected: 0 });
  // Whole, but its sender does not live to read the answer.
  await cutAfter(running.url, a.assignment, bytes, bytes.length);
  const answer = await a.client.put(a.assignment, bytes);
  expect(answer).toMatchObject({ status: 200, body: { status: "accepted" } });
  expect((await openRound(running)).participants).toMatchObject({ reported: 1, pending: 1 });
  await b.client.report(b.assignment, b.layout, update(3));
  await a.client.nextClosed();
  expect(await firstWeight(running)).toBe(2);
});

test("[CH33] receipts say `accepted`, then `committed`, over any number of restarts", async () => {
  await using folder = await temporaryFolder();
  const config = { storage: { kind: "sqlite", directory: folder.path } } as const;
  const keys = [newClientKey(), newClientKey()];
  let bytes: Uint8Array<ArrayBuffer>;
  let early: Assignment;
  {
    await using running = await startCoordinator({ config });
    await startTask(running);
    const [a] = (await seatAll(running.url, keys)) as [Seat, Seat];
    early = a.assignment;
    bytes = encodeUpdate(a.layout, update(1));
    expect((await a.client.put(early, bytes)).body).toMatchObject({ duplicate: false });
  }
  {
    await using running = await startCoordinator({ config });
    const [a, b] = (await seatAll(running.url, keys)) as [Seat, Seat];
    expect(a.assignment).toMatchObject({ roundId: ROUND, reported: false });
    // The sums are gone with the process: the same bytes, by the token of before, count anew, once.
    expect((await a.client.put(early, bytes)).body).toEqual({
      ...{ roundId: ROUND, status: "accepted", duplicate: false },
    });
    expect((await a.client.put(a.assignment, bytes)).body).toMatchObject({ duplicate: true });
    await b.client.report(b.assignment, b.layout, update(3));
    await a.client.nextClosed();
    expect(await firstWeight(running)).toBe(2);
  }
  for (let i = 0; i < 2; i++) {
    await using running = await startCoordinator({ config });
    await using client = await connectRaw(running.url, { clientKey: keys[0]! });
    expect((await client.put(early, bytes)).body).toEqual({
      ...{ roundId: ROUND, status: "committed", duplicate: true, modelVersion: 1 },
    });
  }
});
