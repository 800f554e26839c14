import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { TaskId } from "@tributary/protocol";
import { float32FromBytes, FRAME_HEADER_BYTES, routes } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const KEY = "1f".repeat(32);
const OTHER = "2e".repeat(32);

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-encrypted-"));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const start = (keys: { encryptionKey?: string; previousEncryptionKey?: string }) =>
  startCoordinator({ config: { storage: { kind: "sqlite", directory, ...keys } } });

/** Momentum, so that the optimizer's state is a file of its own. */
const task = smallTask({ serverOptimizer: { kind: "momentum", learningRate: 1, momentum: 0.5 } });
/** Seven floats that occur nowhere by chance. */
const first = Float32Array.from({ length: 7 }, (_, i) => Math.sin(i + 0.123_456_7));
const step = Float32Array.from({ length: 7 }, (_, i) => Math.cos(i + 0.765_432_1) / 1000);

async function playRound(url: string, roundNumber: number, ended: (n: number) => Promise<unknown>) {
  const clients = await Promise.all([connectRaw(url), connectRaw(url)]);
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  await Promise.all(
    clients.map(async (client, i) => {
      const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
      const update = { delta: step, numExamples: 1, metrics: {} };
      await client.report(assignment, replies[i]!.task.layout, update);
    }),
  );
  await ended(roundNumber);
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
}

async function modelAt(url: string): Promise<Float32Array> {
  const response = await fetch(
    url + routes.checkpoint.path({ taskId: TASK, modelVersion: "latest" }),
  );
  expect(response.status).toBe(200);
  return float32FromBytes(new Uint8Array(await response.arrayBuffer(), FRAME_HEADER_BYTES));
}

/** Names of the files in which any of the values occurs, as a checkpoint or an optimizer's state has it. */
async function filesWith(values: Float32Array): Promise<string[]> {
  // Two neighbours, or one of double length: four bytes alone would be found by chance one day.
  const needles = [...values].flatMap((value, i) => [
    Buffer.from(Float32Array.of(value, values[(i + 1) % values.length]!).buffer),
    Buffer.from(Float64Array.of(value).buffer),
  ]);
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    if (needles.some((needle) => bytes.includes(needle))) found.push(entry.name);
  }
  return found;
}

test("[DR11] a coordinator with a key trains, restarts and serves as any other, and its files hold no weight", async () => {
  let model: Float32Array;
  {
    await using running = await start({ encryptionKey: KEY });
    await running.coordinator.tasks.create(task, first);
    await playRound(running.url, 1, running.roundEnded);
    model = await modelAt(running.url);
    expect(model[3]).toBeCloseTo(first[3]! + step[3]!, 6);
    // While it runs and after it has stopped; of the optimizer's momentum, too, which is the step.
    for (const values of [first, model, step]) expect(await filesWith(values)).toEqual([]);
  }
  for (const values of [first, model, step]) expect(await filesWith(values)).toEqual([]);

  await using running = await start({ encryptionKey: KEY });
  expect(await modelAt(running.url)).toEqual(model);
  await playRound(running.url, 2, running.roundEnded);
  expect(await running.coordinator.tasks.get(TASK)).toMatchObject({
    roundsCommitted: 2,
    checkpoint: { modelVersion: 2 },
  });
});

test("[DR11] a plain folder comes under a key, another key follows, and without the key nothing starts", async () => {
  let model: Float32Array;
  {
    await using running = await start({});
    await running.coordinator.tasks.create(task, first);
    await playRound(running.url, 1, running.roundEnded);
    model = await modelAt(running.url);
  }
  // The very search finds them while they are in the clear: two versions and the momentum.
  expect(await filesWith(model)).toHaveLength(1);
  expect(await filesWith(first)).toHaveLength(1);
  expect(await filesWith(step)).toHaveLength(1);
  for (const keys of [
    { encryptionKey: KEY },
    { encryptionKey: KEY },
    { encryptionKey: OTHER, previousEncryptionKey: KEY },
    { encryptionKey: OTHER },
  ]) {
    await using running = await start(keys);
    expect(await modelAt(running.url)).toEqual(model);
    for (const values of [first, model, step]) expect(await filesWith(values)).toEqual([]);
  }
  for (const keys of [{}, { encryptionKey: KEY }]) {
    await expect(start(keys)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  }
  await using running = await start({ encryptionKey: OTHER });
  await playRound(running.url, 2, running.roundEnded);
});

test("[DR9] a third key, set while a change of keys is half done, changes nothing", async () => {
  const [first, second, third] = [KEY, OTHER, "3d".repeat(32)];
  let digest: string;
  {
    await using running = await start({ encryptionKey: first });
    digest = (await running.coordinator.tasks.create(task)).checkpoint.digest;
  }
  const file = join(directory, "checkpoints", digest.slice(0, 2), digest);
  const marker = join(directory, "checkpoints", "encrypted-with");
  const before = [await readFile(file), await readFile(marker)] as const;
  const changed = await start({ encryptionKey: second, previousEncryptionKey: first });
  await changed[Symbol.asyncDispose]();
  // As a start leaves it that is killed between the database and the last file.
  await writeFile(file, before[0]);
  await writeFile(marker, before[1]);
  await expect(
    start({ encryptionKey: third, previousEncryptionKey: second }),
  ).rejects.toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(file) });
  await using running = await start({ encryptionKey: second, previousEncryptionKey: first });
  expect(await modelAt(running.url)).toEqual(new Float32Array(7));
});
