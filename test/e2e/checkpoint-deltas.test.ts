import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Predictor } from "@tributary/client-sdk";
import { createClient, createMemoryCache } from "@tributary/client-sdk";
import { createFileCache } from "@tributary/client-sdk/node";
import type { Digest, TaskId } from "@tributary/protocol";
import { isCheckpointDelta, routes, sha256 } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { moveBy } from "../support/data.ts";

const TASK = "wide" as TaskId;
const PARAMETERS = 50_000;
const values = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + 1));
const task = smallTask({ taskId: TASK, model: { tensors: [{ name: "w", shape: [PARAMETERS] }] } });

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-deltas-"));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const start = (retention: { modelVersions?: number } = {}) =>
  startCoordinator({
    config: {
      storage: { kind: "sqlite", directory, encryptionKey: "1f".repeat(32) },
      checkpoints: { keepInMemory: 1 },
      retention,
    },
  });

/** A round in which two clients move one value in a hundred. */
const playRound = (running: RunningCoordinator, roundNumber: number) =>
  moveBy(
    running,
    TASK,
    roundNumber,
    new Float32Array(PARAMETERS).map((_, i) => (i % 100 === roundNumber ? 1e-3 : 0)),
  );

const digestOf = async ({ coordinator }: RunningCoordinator, version: number) =>
  (await coordinator.models.get(TASK, version)).digest;

/** @returns what came over the wire, and what it was unpacked to */
async function fetchFrom(url: string, digest: Digest, base: Digest) {
  const response = await fetch(url + routes.checkpointFrom.path({ digest, base }));
  expect(response.status).toBe(200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    bytes,
    sent: Number(response.headers.get("content-length")),
    isDelta: isCheckpointDelta(bytes),
  };
}

/** Answers with the SHA-256 of the weights. */
const hashPredictor: Predictor<null, string> = {
  load: async (weights) => {
    const digest = await sha256(new Uint8Array(weights.buffer as ArrayBuffer));
    return { predict: async () => digest, dispose: () => {} };
  },
};

test("[DW6] [DW15] clients follow a model by what changed of it, over restarts and with storage encrypted", async () => {
  /** Path and bytes of each answer. */
  const downloads: { path: string; bytes: number }[] = [];
  const counting: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    const bytes = Number(response.headers.get("content-length"));
    downloads.push({ path: new URL(input as string).pathname, bytes });
    return response;
  };
  const whole = 64 + 4 * PARAMETERS;
  const cache = createFileCache({ directory: join(directory, "client") });

  const follow = async ({ url, coordinator }: RunningCoordinator, version: number) => {
    await using client = createClient({ url, cache, fetch: counting });
    const model = client.model(TASK, { predictor: hashPredictor });
    const updates: unknown[] = [];
    model.on("update", ({ modelVersion, download }) => updates.push([modelVersion, download]));
    await model.ready;
    if (model.version !== version) await model.refresh();
    expect(model.version).toBe(version);
    const { digest } = await coordinator.models.get(TASK, version);
    const frame = await coordinator.models.checkpoint(digest);
    expect(await model.predict(null)).toBe(await sha256(frame.slice(64)));
    const { bytes } = downloads.at(-1)!;
    const how = version === 0 ? "whole" : "delta";
    expect(updates.at(-1)).toEqual([version, { how, bytes }]);
    return downloads.splice(0);
  };

  {
    await using running = await start();
    await running.coordinator.tasks.create(task, values);
    expect(await follow(running, 0)).toEqual([
      { path: expect.stringMatching(/^\/v1\/checkpoints\/[0-9a-f]{64}$/) as string, bytes: whole },
    ]);
    await playRound(running, 1);
    const [delta, ...others] = await follow(running, 1);
    expect(others).toEqual([]);
    expect(delta!.path).toMatch(/\/from\//);
    expect(delta!.bytes).toBeLessThan(whole / 20);
    await playRound(running, 2);
  }
  await using running = await start();
  await playRound(running, 3);
  const [delta, ...others] = await follow(running, 3);
  expect(others).toEqual([]);
  expect(delta!.bytes).toBeLessThan(whole / 10);
});

test("[DW6] [DW15] a client that trains gets the next model by what changed of it", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create({ ...task, stop: { maxRounds: 3 } }, values);
  const paths: string[] = [];
  const noting: typeof fetch = async (input, init) => {
    const { pathname } = new URL(input as string);
    if (init?.method === undefined) paths.push(pathname);
    return fetch(input, init);
  };
  const clients = [1, 2].map(() =>
    createClient({ url: running.url, cache: createMemoryCache(), fetch: noting }),
  );
  const trainer = {
    train: async ({ weights }: { weights: Float32Array }) => ({
      weights: weights.map((value) => value * 1.0001),
      numExamples: 1,
      metrics: {},
    }),
  };
  const received: string[] = [];
  const parts = clients.map((client) => client.join(TASK, { trainer }));
  for (const part of parts) part.on("received", ({ how }) => received.push(how));
  await Promise.all(parts.map(({ done }) => done));
  expect(received.sort()).toEqual(["delta", "delta", "delta", "delta", "whole", "whole"]);
  await Promise.all(clients.map((client) => client.close()));
  expect(paths.filter((path) => !path.includes("/from/"))).toHaveLength(2);
  expect(paths.filter((path) => path.includes("/from/"))).toHaveLength(4);
});

test("[DW6] with a version goes every delta from it and to it", async () => {
  await using running = await start({ modelVersions: 2 });
  await running.coordinator.tasks.create(task, values);
  await playRound(running, 1);
  const [zero, one] = [await digestOf(running, 0), await digestOf(running, 1)];
  expect((await fetchFrom(running.url, one, zero)).isDelta).toBe(true);
  expect((await fetchFrom(running.url, zero, one)).isDelta).toBe(true);
  await playRound(running, 2);
  const { url } = running;
  const status = async () =>
    (await fetch(url + routes.checkpointByDigest.path({ digest: zero }))).status;
  await expect.poll(status, { timeout: 15_000 }).toBe(404);
  const answer = await fetchFrom(url, one, zero);
  expect(answer).toMatchObject({ isDelta: false, sent: 64 + 4 * PARAMETERS });
  const gone = await fetch(url + routes.checkpointFrom.path({ digest: zero, base: one }));
  expect(await gone.json()).toMatchObject({ code: "MODEL_NOT_FOUND" });
  // An optimizer's state, or what nobody ever had, is no base.
  expect((await fetchFrom(url, one, "0".repeat(64) as Digest)).isDelta).toBe(false);
});
