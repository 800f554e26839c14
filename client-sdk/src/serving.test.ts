import type { Digest } from "@tributary/protocol";
import { createLayout, FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../test/support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import type { ModelCache } from "./cache.ts";
import { createMemoryCache } from "./cache.ts";
import type { Client } from "./client.ts";
import { createClient } from "./client.ts";
import { createDeferred } from "./deferred.ts";
import type { ServedModel } from "./serving.ts";
import type { LoadedModel, Predictor } from "./trainer.ts";

const connect = (fake: FakeCoordinator, cache: ModelCache = createMemoryCache()): Client =>
  createClient({ url: fake.url, cache, backoff: { baseMs: 2, maxMs: 5 }, ackTimeoutMs: 1_000 });

const filled = (value: number) => new Float32Array(6).fill(value);

/** Predicts `input` times the first weight, once it is let go; notes every disposal. */
function firstWeight({ gated = false } = {}) {
  const disposed: number[] = [];
  const gate = createDeferred<undefined>();
  const predictor: Predictor<number, number> = {
    load: async (weights): Promise<LoadedModel<number, number>> => {
      const weight = weights[0]!;
      if (weight === 666) throw new Error("this model cannot be loaded");
      let gone = false;
      return {
        predict: async (input) => {
          if (gated) await gate.promise;
          if (gone) throw new Error("predicted by a disposed model");
          return input * weight;
        },
        dispose: () => {
          gone = true;
          disposed.push(weight);
        },
      };
    },
  };
  return { predictor, disposed, release: () => gate.resolve(undefined) };
}

const serves = (model: ServedModel<number, number>, version: number) =>
  expect.poll(() => model.version, { timeout: 5_000 }).toBe(version);

test("[SV1] the newest published version serves, and each newer one as soon as it is published", async () => {
  await using fake = await startFakeCoordinator();
  const first = await fake.store(3, filled(3));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  const updates: number[] = [];
  model.on("update", ({ modelVersion }) => updates.push(modelVersion));
  expect(model.version).toBeUndefined();
  await expect(model.predict(1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await model.ready;
  expect([model.version, model.digest]).toEqual([3, first.digest]);
  await expect(model.predict(10)).resolves.toBe(30);
  const second = await fake.publish(4, filled(4));
  await serves(model, 4);
  expect(model.digest).toBe(second.digest);
  await expect(model.predict(10)).resolves.toBe(40);
  expect(updates).toEqual([3, 4]);
});

test("[SV2] a swap disturbs no prediction: the old model is freed after its last one, and only then", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const { predictor, disposed, release } = firstWeight({ gated: true });
  const model = client.model(TASK, { predictor });
  await model.ready;
  const running = [model.predict(5), model.predict(6)];
  await fake.publish(2, filled(2));
  await serves(model, 2);
  const later = model.predict(5);
  expect(disposed).toEqual([]);
  release();
  await expect(Promise.all(running)).resolves.toEqual([5, 6]);
  await expect(later).resolves.toBe(10);
  expect(disposed).toEqual([1]);
  await model.close();
  expect(disposed).toEqual([1, 2]);
  await expect(model.predict(1)).rejects.toMatchObject({ code: "ABORTED" });
});

test("[SV2] close() waits for every prediction that runs, on whichever version", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const { predictor, disposed, release } = firstWeight({ gated: true });
  const model = client.model(TASK, { predictor });
  await model.ready;
  const old = model.predict(5);
  await fake.publish(2, filled(2));
  await serves(model, 2);
  let closed = false;
  const closing = model.close().then(() => (closed = true));
  await expect.poll(() => disposed).toEqual([2]);
  expect(closed).toBe(false);
  release();
  await expect(old).resolves.toBe(5);
  await closing;
  expect(disposed).toEqual([2, 1]);
});

test("[SV3] an older version never replaces a newer one", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(5, filled(5));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  await fake.publish(4, filled(4));
  await model.refresh();
  expect(model.version).toBe(5);
  await fake.publish(6, filled(6));
  await serves(model, 6);
});

test("[SV4] a bad version is told of and the one before serves on, until a good one comes", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  const faults: string[] = [];
  model.on("error", ({ code }) => faults.push(code));

  fake.corrupt = (frame) => frame.map((byte, i) => (i === 70 ? byte ^ 1 : byte));
  await fake.publish(2, filled(2));
  await expect.poll(() => faults, { timeout: 5_000 }).toEqual(["CHECKPOINT_CORRUPT"]);
  fake.corrupt = undefined;

  await fake.publish(3, filled(666));
  await expect.poll(() => faults).toEqual(["CHECKPOINT_CORRUPT", "INTERNAL"]);

  const elsewhere = { modelVersion: 4, digest: "a".repeat(64) as Digest, bytes: 88 };
  fake.emit("model:published", {
    taskId: TASK,
    checkpoint: { ...elsewhere, url: "//evil.test/", signed: await fake.sign(elsewhere) },
  });
  await expect.poll(() => faults.at(-1)).toBe("MALFORMED_MESSAGE");

  expect(model.version).toBe(1);
  await expect(model.predict(7)).resolves.toBe(7);
  await fake.publish(5, filled(5));
  await serves(model, 5);
});

test("[SV4] a task that now has another layout does not replace the model served", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  Object.assign(fake.layout, await createLayout([{ name: "new", shape: [6] }]));
  await fake.store(2, filled(2));
  await expect(model.refresh()).rejects.toMatchObject({ code: "UPDATE_LAYOUT_MISMATCH" });
  expect(model.version).toBe(1);
});

test("[SV5] without a coordinator the cached version serves, and is replaced once there is one", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  const cache = createMemoryCache();
  {
    await using client = connect(fake, cache);
    await client.model(TASK, firstWeight()).ready;
  }
  await fake.store(2, filled(2));
  await fake.stop();
  await using client = connect(fake, cache);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  expect(model.version).toBe(1);
  await expect(model.predict(3)).resolves.toBe(3);
  await fake.start();
  await serves(model, 2);
  const bytes = fake.count("GET");
  await model.refresh();
  expect(fake.count("GET")).toBe(bytes);
});

test("[SV5] where the coordinator answers, ready waits for the newest version, not for the cached one", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  const cache = createMemoryCache();
  {
    await using client = connect(fake, cache);
    await client.model(TASK, firstWeight()).ready;
  }
  await fake.store(2, filled(2));
  await using client = connect(fake, cache);
  const model = client.model(TASK, firstWeight());
  const updates: number[] = [];
  model.on("update", ({ modelVersion }) => updates.push(modelVersion));
  await model.ready;
  expect(model.version).toBe(2);
  expect(updates).toEqual([1, 2]);
});

test("[SV5] a version published while the connection was lost is learnt of when it is back", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  await fake.stop();
  await fake.store(9, filled(9));
  await fake.start();
  await serves(model, 9);
});

test("[SV6] ready fails when there can be no model, and when the model is closed before", async () => {
  await using fake = await startFakeCoordinator();
  fake.refuseCheckIn = new FederatedError("TASK_NOT_FOUND", "no such task");
  await using client = connect(fake);
  await expect(client.model(TASK, firstWeight()).ready).rejects.toMatchObject({
    code: "TASK_NOT_FOUND",
  });
  fake.refuseHandshake = new FederatedError("UNAUTHENTICATED", "wrong token");
  await using stranger = connect(fake);
  await expect(stranger.model(TASK, firstWeight()).ready).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
  await fake.stop();
  await using offline = connect(fake);
  const model = offline.model(TASK, firstWeight());
  await model.close();
  await expect(model.ready).rejects.toMatchObject({ code: "ABORTED" });
});

test("[SV7] a client that trains and serves fetches a version once", async () => {
  await using fake = await startFakeCoordinator();
  await fake.store(1, filled(1));
  await using client = connect(fake);
  const model = client.model(TASK, firstWeight());
  await model.ready;
  const participant = client.join(TASK, {
    trainer: { train: async ({ weights }) => ({ weights, numExamples: 1, metrics: {} }) },
  });
  await expect.poll(() => participant.state).toBe("waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await fake.until("PUT");
  expect(fake.count("GET")).toBe(1);
  expect(fake.count("handshake")).toBe(1);
});
