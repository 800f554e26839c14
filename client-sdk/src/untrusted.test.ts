import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { CheckpointRef, FederatedError, TaskId } from "@tributary/protocol";
import { encodeCheckpoint, sha256, signKeyRecord } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../test/support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import { testKey } from "../../test/support/signing.ts";
import type { ModelCache } from "./cache.ts";
import { createMemoryCache } from "./cache.ts";
import type { Client, ClientOptions } from "./client.ts";
import { createClient } from "./client.ts";
import { createFileCache } from "./node/file-cache.ts";
import type { Trainer } from "./trainer.ts";

const connect = (fake: FakeCoordinator, options: Partial<ClientOptions> = {}): Client =>
  createClient({
    url: fake.url,
    backoff: { baseMs: 2, maxMs: 5 },
    ackTimeoutMs: 1_000,
    ...options,
  });

const PATIENCE = { timeout: 10_000 };

const filled = (value: number) => new Float32Array(6).fill(value);
const firstWeight = {
  predictor: {
    load: async (weights: Float32Array) => ({
      predict: async (input: number) => input * weights[0]!,
      dispose: () => undefined,
    }),
  },
};

/** What somebody between client and coordinator, or in the coordinator's place, may say of version `n`. */
const lies: readonly [string, (fake: FakeCoordinator, n: number) => Promise<unknown>][] = [
  [
    "without its manifest",
    async (fake, n) => {
      const { signed, ...rest } = await fake.store(n, filled(n));
      expect(signed.manifest).toContain(TASK);
      return rest;
    },
  ],
  [
    "with no manifest that can be read",
    async (fake, n) => ({ ...(await fake.store(n, filled(n))), signed: "trust me" }),
  ],
  [
    "of other weights under the genuine manifest",
    async (fake, n) => {
      const genuine = await fake.store(n, filled(n));
      const other = await fake.store(n, filled(-n));
      return { ...other, signed: genuine.signed };
    },
  ],
  [
    "signed all over by another key",
    async (fake, n) => {
      const { key } = fake;
      fake.key = await testKey(9);
      const forged = await fake.store(n, filled(-n));
      fake.key = key;
      return forged;
    },
  ],
  [
    "signed by another key under the name of the trusted one",
    async (fake, n) => {
      const { key } = fake;
      fake.key = await testKey(9);
      const forged = await fake.store(n, filled(-n));
      fake.key = key;
      return { ...forged, signed: { ...forged.signed, publicKey: key.publicKey } };
    },
  ],
  [
    "with the manifest of another task of the same coordinator",
    async (fake, n) => {
      const ref = await fake.store(n, filled(n));
      return { ...ref, signed: await fake.sign(ref, "other" as TaskId) };
    },
  ],
  [
    "that is an older one under a new number",
    async (fake, n) => ({ ...(await fake.store(1, filled(1))), modelVersion: n }),
  ],
];

test.each(lies)(
  "[SIG30] a version %s is not served: told of, the one before serves on",
  async (_, lie) => {
    await using fake = await startFakeCoordinator();
    await fake.store(1, filled(1));
    await using client = connect(fake);
    const model = client.model(TASK, firstWeight);
    const faults: FederatedError[] = [];
    model.on("error", (error) => faults.push(error));
    await model.ready;
    expect(model.manifest).toMatchObject({ taskId: TASK, modelVersion: 1 });
    const downloads = fake.count("GET");

    fake.emit("model:published", { taskId: TASK, checkpoint: await lie(fake, 2) });
    await expect.poll(() => faults, PATIENCE).toHaveLength(1);
    expect(faults[0]).toMatchObject({ code: "MODEL_UNTRUSTED", retryable: false });
    expect(model.version).toBe(1);
    expect(await model.predict(3)).toBe(3);
    expect(fake.count("GET")).toBe(downloads);

    await fake.publish(3, filled(3));
    await expect.poll(() => model.version, PATIENCE).toBe(3);
    expect(faults).toHaveLength(1);
  },
);

test.each(lies)(
  "[SIG31] nothing is trained from a version %s, and the next round is",
  async (_, lie) => {
    await using fake = await startFakeCoordinator();
    await fake.store(1, filled(1));
    await using client = connect(fake, { trust: { publicKeys: [fake.key.publicKey] } });
    const trainedFrom: number[] = [];
    const trainer: Trainer = {
      train: async ({ weights }) => {
        trainedFrom.push(weights[0]!);
        return { weights, numExamples: 1, metrics: {} };
      },
    };
    const participant = client.join(TASK, { trainer });
    const faults: FederatedError[] = [];
    participant.on("error", (error) => faults.push(error));
    await expect.poll(() => participant.state, PATIENCE).toBe("waiting");

    const checkpoint = (await lie(fake, 2)) as CheckpointRef;
    fake.emit("round:assigned", fake.assignment(1, { checkpoint }));
    await fake.until("decline");
    expect(faults.map(({ code }) => code)).toEqual(["MODEL_UNTRUSTED"]);
    expect(fake.count("GET")).toBe(0);

    await expect.poll(() => participant.state, PATIENCE).toBe("waiting");
    await fake.store(3, filled(3));
    fake.emit("round:assigned", fake.assignment(2));
    await fake.until("PUT");
    expect(trainedFrom).toEqual([3]);
    expect(faults).toHaveLength(1);
  },
);

test("[SIG30] ready fails where the only model there is is not to be trusted", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake, { trust: { publicKeys: [(await testKey(2)).publicKey] } });
  await expect(client.model(TASK, firstWeight).ready).rejects.toMatchObject({
    code: "MODEL_UNTRUSTED",
  });
});

test("[SIG32] offline, the cached version serves only as what was signed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "tributary-untrusted-"));
  try {
    await using fake = await startFakeCoordinator();
    await fake.store(1, filled(1));
    const cache = () => createFileCache({ directory });
    {
      await using client = connect(fake, { cache: cache() });
      await client.model(TASK, firstWeight).ready;
    }
    await fake.stop();
    {
      await using client = connect(fake, { cache: cache() });
      const model = client.model(TASK, firstWeight);
      await model.ready;
      expect(await model.predict(3)).toBe(3);
      expect(model.manifest?.digest).toBe(model.digest);
    }

    // Somebody puts another whole and well-formed model into the cache.
    const frame = encodeCheckpoint(fake.layout, { modelVersion: 1, weights: filled(-1) });
    const digest = await sha256(frame);
    const entryPath = join(directory, `${TASK}.json`);
    const entry = JSON.parse(await readFile(entryPath, "utf8")) as { checkpoint: object };
    await writeFile(join(directory, `${digest}.frame`), frame);
    await writeFile(
      entryPath,
      JSON.stringify({ ...entry, checkpoint: { ...entry.checkpoint, digest } }),
    );
    await using client = connect(fake, { cache: cache() });
    const model = client.model(TASK, firstWeight);
    const faults: string[] = [];
    model.on("error", ({ code }) => faults.push(code));
    await expect.poll(() => faults, PATIENCE).toEqual(["MODEL_UNTRUSTED"]);
    await expect(model.predict(1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    // The coordinator has a good one, once it is back.
    await fake.start();
    await model.ready;
    expect(await model.predict(3)).toBe(3);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("[SIG32] a cached version that is not what was signed keeps no good one from serving", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  const memory = createMemoryCache();
  const cache: ModelCache = {
    ...memory,
    get: async (taskId) => {
      const held = await memory.get(taskId);
      if (held === undefined) return undefined;
      return { ...held, checkpoint: { ...held.checkpoint, modelVersion: 0 } };
    },
  };
  await using client = connect(fake, { cache });
  await client.model(TASK, firstWeight).ready;
  // Connected already, and the first thing that the second model meets is a fault that no later try mends.
  const model = client.model(TASK, firstWeight);
  const faults: string[] = [];
  model.on("error", ({ code }) => faults.push(code));
  await model.ready;
  expect([model.version, faults]).toEqual([1, ["MODEL_UNTRUSTED"]]);
});

test("[SIG33] a change of keys is followed in mid-training and after two changes away, with one request each", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  const cache: ModelCache = createMemoryCache();
  const at = "2026-01-02T03:04:05.678Z";
  const rotate = async (number: number) => {
    const next = await testKey(number);
    fake.keys.push(await signKeyRecord(next.publicKey, at, fake.key));
    fake.key = next;
  };
  fake.keys.push({ publicKey: fake.key.publicKey, createdAt: at });
  let trainings = 0;
  let onTraining: () => Promise<void> = async () => undefined;
  const trainer: Trainer = {
    train: async ({ weights }) => {
      trainings += 1;
      await onTraining();
      return { weights, numExamples: 1, metrics: {} };
    },
  };
  {
    await using client = connect(fake, { cache });
    const participant = client.join(TASK, { trainer });
    const model = client.model(TASK, firstWeight);
    await model.ready;
    onTraining = async () => {
      await rotate(2);
      await fake.publish(2, filled(2));
      await expect.poll(() => model.version, PATIENCE).toBe(2);
    };
    await expect.poll(() => participant.state, PATIENCE).toBe("waiting");
    fake.emit("round:assigned", fake.assignment(1));
    await fake.until("PUT");
    expect([trainings, fake.count("keys")]).toEqual([1, 1]);
  }
  onTraining = async () => undefined;
  await rotate(3);
  await rotate(4);
  await fake.store(3, filled(3));
  await using client = connect(fake, { cache });
  const model = client.model(TASK, firstWeight);
  await model.ready;
  expect(model.version).toBe(3);
  const participant = client.join(TASK, { trainer });
  await expect.poll(() => participant.state, PATIENCE).toBe("waiting");
  fake.emit("round:assigned", fake.assignment(2));
  await fake.until("PUT", 2);
  expect([trainings, fake.count("keys")]).toEqual([2, 2]);
});
