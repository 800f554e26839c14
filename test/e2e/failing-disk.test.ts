import { chmod, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Assignment, CheckInReply, TaskId } from "@tributary/protocol";
import { encodeUpdate, roundIdOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import { smallTask } from "../support/coordinator.ts";
import type { DataFolder } from "../support/data.ts";
import { connectTwo, disconnect, makeDataFolder, playRound, privateTask } from "../support/data.ts";
import { limitFileSize } from "../support/file-size.ts";
import type { RawClient } from "../support/raw-client.ts";

const NOBODY = 65_534;

/** Runs `work` as somebody who may write nothing that is not theirs: rights do not bind root. */
async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

/** Takes the right to write from everything in the folder, or gives it back. */
async function setWritable(directory: string, writable: boolean): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = [directory, ...entries.map((entry) => join(entry.parentPath, entry.name))];
  // From the inside out, so that every path can still be reached.
  for (const path of paths.toReversed()) {
    const isFolder = (await stat(path)).isDirectory();
    await chmod(path, (isFolder ? 0o555 : 0o444) | (writable ? 0o200 : 0));
  }
}

/** The place in this round: a former one may have been told twice, in a reply and by a message. */
async function placeOf(
  client: RawClient,
  { assignment }: CheckInReply,
  roundNumber: number,
): Promise<Assignment> {
  let place = assignment;
  while (place?.roundNumber !== roundNumber) place = await client.nextAssignment(60_000);
  return place;
}

async function soundData(folder: DataFolder): Promise<string> {
  const data = join(folder.path, "data");
  // Everybody may look into a test's folder.
  await chmod(folder.path, 0o755);
  await using running = await folder.start();
  const clients = await connectTwo(running.url);
  await running.coordinator.tasks.create(smallTask());
  await playRound(running, clients, "small");
  await disconnect(clients);
  return data;
}

test("[DSK7] a folder that cannot be written stops the start with one clear error, unharmed; writable again, it starts", async () => {
  await using folder = await makeDataFolder();
  const data = await soundData(folder);
  await setWritable(data, false);
  try {
    await asOrdinaryUser(() =>
      expect(folder.start()).rejects.toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringMatching(/cannot be opened|read-only/) as string,
      }),
    );
  } finally {
    await setWritable(data, true);
  }
  expect((await verifyStore(data)).faults).toEqual([]);
  await using running = await folder.start();
  expect((await running.coordinator.models.get("small" as TaskId, "latest")).modelVersion).toBe(1);
});

test("[DSK8] no room while a version's checkpoint is written: nothing is announced, the charge stays, later rounds commit", async () => {
  await using folder = await makeDataFolder();
  await using running = await folder.start();
  const clients = await connectTwo(running.url);
  const weights = 500_000;
  const task = { ...privateTask, model: { tensors: [{ name: "w", shape: [weights] }] } };
  await running.coordinator.tasks.create(task);
  const announced: number[] = [];
  running.coordinator.events.subscribe((event) => {
    if (event.type === "model:published") announced.push(event.data.modelVersion);
  });
  let rounds = 0;
  const play = async () => {
    rounds += 1;
    const replies = await Promise.all(clients.map((client) => client.checkIn("private")));
    const outcomes = clients.map(async (client, i) => {
      const assignment = await placeOf(client, replies[i]!, rounds);
      const frame = encodeUpdate(replies[i]!.task.layout, {
        delta: new Float32Array(weights).fill(1e-4),
        numExamples: 1,
        metrics: {},
      });
      expect(await client.put(assignment, frame as BodyInit)).toMatchObject({ status: 200 });
      return (await client.nextClosed(60_000)).outcome;
    });
    return Promise.all(outcomes);
  };
  // Room for the log of the database, not for two megabytes at once.
  const limited = await limitFileSize(1_500_000);
  if (process.platform === "linux") expect(limited).toBe(true);
  try {
    expect(await play()).toEqual(limited ? ["abandoned", "abandoned"] : ["committed", "committed"]);
  } finally {
    await limitFileSize("unlimited");
  }
  expect(announced).toEqual(limited ? [] : [1]);
  // Noise was drawn, and how the round ended may say something of it: it is paid for.
  expect(await running.coordinator.tasks.privacy("private" as TaskId)).toMatchObject({ rounds: 1 });
  expect(await play()).toEqual(["committed", "committed"]);
  expect(announced.at(-1)).toBe(limited ? 1 : 2);
  expect(await running.coordinator.tasks.privacy("private" as TaskId)).toMatchObject({ rounds: 2 });
  await disconnect(clients);
  await running.coordinator.close();
  expect((await verifyStore(join(folder.path, "data"))).faults).toEqual([]);
});

test("[DSK9] checkpoints that cannot be written while the coordinator runs cost their rounds and nothing else", async () => {
  await using folder = await makeDataFolder();
  const data = await soundData(folder);
  await using running = await folder.start();
  const clients = await connectTwo(running.url);
  const blobs = join(data, "checkpoints");
  let rounds = 1;
  const outcome = async () => {
    rounds += 1;
    const replies = await Promise.all(clients.map((client) => client.checkIn("small")));
    const assignments = await Promise.all(
      clients.map((client, i) => placeOf(client, replies[i]!, rounds)),
    );
    const { layout } = await running.coordinator.tasks.get("small" as TaskId);
    await Promise.all(
      clients.map((client, i) =>
        client.report(assignments[i]!, layout, {
          delta: new Float32Array(7).fill(1),
          numExamples: 1,
          metrics: {},
        }),
      ),
    );
    return (await clients[0]!.nextClosed(60_000)).outcome;
  };
  await setWritable(blobs, false);
  try {
    expect(await asOrdinaryUser(outcome)).toBe("abandoned");
  } finally {
    await setWritable(blobs, true);
  }
  expect((await running.coordinator.models.get("small" as TaskId, "latest")).modelVersion).toBe(1);
  expect(await outcome()).toBe("committed");
  expect((await running.coordinator.models.get("small" as TaskId, "latest")).modelVersion).toBe(2);
  await disconnect(clients);
});

test("[DSK10] pages of the database damaged while it runs: no answer is invented, and the next start or look says so", async () => {
  await using folder = await makeDataFolder();
  const data = await soundData(folder);
  const database = join(data, "tributary.sqlite");
  const running = await folder.start();
  const { size } = await stat(database);
  const file = await open(database, "r+");
  // Everything but the first page, which says that this is a database.
  await file.write(Buffer.alloc(size - 4096, 0xa5), 0, size - 4096, 4096);
  await file.sync();
  await file.close();
  const answer = await fetch(`${running.url}/v1/rounds/${roundIdOf("small" as TaskId, 1)}`);
  // What SQLite still has in memory is sound, what it reads is refused.
  if (answer.status === 200) expect(await answer.json()).toMatchObject({ phase: "committed" });
  else expect([500, 503]).toContain(answer.status);
  // It cannot be put in order, and is let go all the same: the next one is not told that it is in use.
  await expect(running.coordinator.close()).rejects.toMatchObject({ code: "INTERNAL" });
  const seen = await verifyStore(data).then(
    ({ faults }) => faults.length,
    (error: unknown) => String(error),
  );
  if (typeof seen === "number") expect(seen).toBeGreaterThan(0);
  else expect(seen).toMatch(/damaged/);
  await expect(folder.start()).rejects.toMatchObject({
    code: "INTERNAL",
    message: expect.stringContaining("restore it from a backup") as string,
  });
});
