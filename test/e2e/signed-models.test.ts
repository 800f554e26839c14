import { join } from "node:path";

import type { ClientOptions, FederatedError, Trainer } from "@tributary/client-sdk";
import { createClient, createMemoryCache } from "@tributary/client-sdk";
import { createFileCache } from "@tributary/client-sdk/node";
import type {
  CheckpointRef,
  KeysResource,
  ModelPublished,
  ModelResource,
  Page,
  TaskBrief,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { openManifest, PROTOCOL_VERSION, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const ADMIN = "an-admin-token-of-this-test";

/** The key that vouches for the reference; throws unless the signature is genuine and about it. */
async function signerOf(checkpoint: CheckpointRef, layoutDigest: never): Promise<string> {
  await openManifest(checkpoint.signed, { ...checkpoint, taskId: TASK, layoutDigest });
  return checkpoint.signed.publicKey;
}

test("[SIG16] wherever a version is named its signed manifest stands, by the key in force", async () => {
  await using running = await startCoordinator({ config: { auth: { adminToken: ADMIN } } });
  const { coordinator, url } = running;
  await coordinator.tasks.create(smallTask());
  const get = async <T>(path: string) => (await (await fetch(url + path)).json()) as T;
  const post = (path: string, token?: string) =>
    fetch(url + path, {
      method: "POST",
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
  await using first = await connectRaw(url);
  await using second = await connectRaw(url);
  const watched = await first.ask<TaskBrief>("watch", {
    protocolVersion: PROTOCOL_VERSION,
    taskId: TASK,
  });
  const layoutDigest = watched.layout.digest as never;
  const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };

  /** A round, and every reference that is given of its base and of what it made. */
  async function round(number: number): Promise<CheckpointRef[]> {
    const replies = [await first.checkIn(TASK), await second.checkIn(TASK)];
    const places = [await first.nextAssignment(), await second.nextAssignment()];
    for (const [i, client] of [first, second].entries()) {
      await client.report(places[i]!, replies[i]!.task.layout, update);
    }
    const published = await first.next<ModelPublished>("model:published");
    const ended = await running.until(
      ({ type, data }) => type === "model:published" && data.modelVersion === number,
    );
    return [
      ...replies.map(({ task }) => task.checkpoint),
      ...places.map(({ checkpoint }) => checkpoint),
      published.checkpoint,
      ended.data as ModelResource,
      (await get<TaskResource>(routes.task.path({ taskId: TASK }))).checkpoint,
      await get<ModelResource>(routes.model.path({ taskId: TASK, modelVersion: number })),
      await get<ModelResource>(routes.model.path({ taskId: TASK, modelVersion: "latest" })),
    ];
  }

  const before = coordinator.keys.publicKey;
  expect(await signerOf(watched.checkpoint, layoutDigest)).toBe(before);
  for (const ref of await round(1)) expect(await signerOf(ref, layoutDigest)).toBe(before);

  expect((await post(routes.rotateKeys.path())).status).toBe(401);
  expect((await post(routes.rotateKeys.path(), "not-the-admin-token")).status).toBe(403);
  expect(coordinator.keys.publicKey).toBe(before);
  const rotated = await post(routes.rotateKeys.path(), ADMIN);
  const record = (await rotated.json()) as KeysResource["keys"][number];
  expect(record).toMatchObject({
    publicKey: coordinator.keys.publicKey,
    previous: { publicKey: before },
  });
  expect(await get<KeysResource>(routes.keys.path())).toEqual({
    keys: [{ publicKey: before, createdAt: expect.any(String) }, record],
  });

  // At once, also for the version that was there: nobody needs the former key for it.
  const { checkpoint } = await first.ask<TaskBrief>("watch", {
    protocolVersion: PROTOCOL_VERSION,
    taskId: TASK,
  });
  expect(checkpoint.modelVersion).toBe(1);
  expect(await signerOf(checkpoint, layoutDigest)).toBe(record.publicKey);
  for (const ref of await round(2)) {
    expect(await signerOf(ref, layoutDigest)).toBe(record.publicKey);
  }
  const page = await get<Page<ModelResource>>(routes.models.path({ taskId: TASK }));
  const signers = await Promise.all(page.items.map((model) => signerOf(model, layoutDigest)));
  expect(signers).toEqual([record.publicKey, record.publicKey, before]);
  const [, newest] = page.items;
  expect(JSON.parse(page.items[0]!.signed.manifest)).toMatchObject({
    parent: { modelVersion: 1, digest: newest!.digest },
    roundNumber: 2,
  });
});

const predictor = {
  load: async (weights: Float32Array) => ({
    predict: async (input: number) => input * weights[0]!,
    dispose: () => undefined,
  }),
};

test("[SIG33] over real rounds, rotations in mid-training and while away cost no update and no trust", async () => {
  await using folder = await temporaryFolder();
  const storage = { kind: "sqlite", directory: join(folder.path, "data") } as const;
  const cache = () => createFileCache({ directory: join(folder.path, "cache") });
  let port = 0;
  const start = async () => {
    const running = await startCoordinator({ config: { storage, server: { port } } });
    port = Number(new URL(running.url).port);
    return running;
  };
  let rounds = 0;
  const errors: FederatedError[] = [];

  /** One round of two clients, the first with a file cache and serving. */
  async function train(running: RunningCoordinator, whileTraining: () => Promise<void>) {
    await running.coordinator.tasks.resume(TASK);
    const clients = [createClient({ url: running.url, cache: cache() }), createClient(running)];
    const [first] = clients;
    const model = first!.model(TASK, { predictor });
    model.on("error", (error) => errors.push(error));
    await model.ready;
    const trainers = clients.map((_, i): Trainer => ({
      train: async ({ weights }) => {
        if (i === 0) {
          // Begun work is finished, and no other round begins.
          await running.coordinator.tasks.pause(TASK);
          await whileTraining();
        }
        return { weights: weights.map((w) => w + 1), numExamples: 1, metrics: {} };
      },
    }));
    const participants = clients.map((client, i) => client.join(TASK, { trainer: trainers[i]! }));
    for (const participant of participants) {
      participant.on("error", (error) => errors.push(error));
    }
    rounds += 1;
    const round = await running.roundEnded(rounds);
    expect(round).toMatchObject({ phase: "committed", participants: { reported: 2 } });
    await expect.poll(() => model.version, { timeout: 10_000 }).toBe(rounds);
    expect(await model.predict(2)).toBe(2 * rounds);
    await Promise.all(clients.map((client) => client.close()));
  }

  {
    await using running = await start();
    await running.coordinator.tasks.create(smallTask());
    await train(running, async () => {
      await running.coordinator.keys.rotate();
    });
  }
  {
    await using running = await start();
    await running.coordinator.keys.rotate();
    await running.coordinator.keys.rotate();
    await train(running, async () => undefined);
    expect(running.coordinator.keys.list()).toHaveLength(4);
  }
  // Offline the cached version serves, by the key that was in force last.
  await using offline = createClient({ url: `http://127.0.0.1:${port}`, cache: cache() });
  const model = offline.model(TASK, { predictor });
  model.on("error", (error) => errors.push(error));
  await model.ready;
  expect(await model.predict(2)).toBe(4);
  expect(errors).toEqual([]);
});

test("[SIG21] a coordinator that comes back with another key is refused, with what to do about it", async () => {
  await using folder = await temporaryFolder();
  const directory = join(folder.path, "cache");
  let port = 0;
  /** In memory: each start is a new coordinator with a new key. */
  const start = async () => {
    const running = await startCoordinator({ config: { server: { port } } });
    port = Number(new URL(running.url).port);
    await running.coordinator.tasks.create(
      smallTask({ schedule: { minClients: 1, minReports: 1 } }),
    );
    return running;
  };
  /** Serves and takes part until its first update is counted, or its first fault. */
  const takePart = async (options: Partial<ClientOptions> = {}) => {
    const url = `http://127.0.0.1:${port}`;
    await using client = createClient({ url, cache: createFileCache({ directory }), ...options });
    const model = client.model(TASK, { predictor });
    await model.ready;
    const train: Trainer["train"] = async ({ weights }) => ({
      weights,
      numExamples: 1,
      metrics: {},
    });
    const participant = client.join(TASK, { trainer: { train } });
    const outcome = await new Promise<string | FederatedError>((resolve) => {
      participant.on("reported", ({ status }) => resolve(status));
      participant.on("error", resolve);
    });
    return { outcome, served: await model.predict(1) };
  };
  {
    await using first = await start();
    expect(await takePart()).toEqual({ outcome: "accepted", served: 0 });
    await first.roundEnded(1);
  }
  await using second = await start();
  const { publicKey } = second.coordinator.keys;
  const { outcome, served } = await takePart();
  expect(outcome).toMatchObject({ code: "MODEL_UNTRUSTED", retryable: false });
  expect((outcome as FederatedError).message).toContain(publicKey);
  expect((outcome as FederatedError).message).toContain("trust.publicKeys");
  // What is cached is the former coordinator's own, and serves on.
  expect(served).toBe(0);
  expect(second.coordinator.keys.list()).toHaveLength(1);
  expect((await takePart({ trust: { publicKeys: [publicKey] } })).outcome).toBe("accepted");
  expect((await takePart({ cache: createMemoryCache() })).outcome).toBe("accepted");
});
