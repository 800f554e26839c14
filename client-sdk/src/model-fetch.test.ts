import type { CheckpointRef, Layout, TaskId } from "@tributary/protocol";
import {
  createLayout,
  diffCheckpoints,
  encodeCheckpoint,
  FederatedError,
  routes,
  sha256,
} from "@tributary/protocol";
import { expect, test } from "vitest";

import { signFor, testKey } from "../../test/support/signing.ts";
import { createMemoryCache } from "./cache.ts";
import type { Fetch } from "./http.ts";
import { createHttp } from "./http.ts";
import { fetchModel } from "./model-fetch.ts";
import { createTrust } from "./trust.ts";

const TASK = "t" as TaskId;
const never = new AbortController().signal;

/** A client that has version 1 of a model, and a coordinator with version 2. */
async function setUp(
  parameterCount = 5_000,
  answerDelta?: (path: string) => Response | Promise<Response>,
) {
  const layout = await createLayout([{ name: "w", shape: [parameterCount] }]);
  const key = await testKey(1);
  const version = async (modelVersion: number, weights: Float32Array, of: Layout = layout) => {
    const frame = encodeCheckpoint(of, { modelVersion, weights });
    const digest = await sha256(frame);
    const subject = { modelVersion, digest, bytes: frame.length };
    const signed = await signFor(key, { ...subject, taskId: TASK, layoutDigest: of.digest });
    const url = routes.checkpointByDigest.path({ digest });
    return { frame, checkpoint: { ...subject, url, signed } satisfies CheckpointRef };
  };
  const first = Float32Array.from({ length: parameterCount }, (_, i) => Math.sin(i));
  const weights = first.map((value) => value * 1.0001);
  const one = await version(1, first);
  const two = await version(2, weights);
  const ends = { base: one.checkpoint.digest, target: two.checkpoint.digest };
  const work = diffCheckpoints(one.frame, two.frame);
  work.run(0, work.length);
  const delta = work.bytes;
  const asked: string[] = [];
  const fetch: Fetch = async (url) => {
    const path = new URL(url as string).pathname;
    asked.push(path);
    if (path === two.checkpoint.url) return new Response(two.frame);
    return (await answerDelta?.(path)) ?? new Response(delta);
  };
  const http = createHttp({
    origin: "http://c",
    fetch,
    backoff: { baseMs: 1, maxMs: 2, random: () => 0.5 },
    requestTimeoutMs: 5_000,
  });
  const cache = createMemoryCache();
  const trust = createTrust(
    { origin: "http://c", cache, getKeys: http.getKeys },
    { publicKeys: [key.publicKey] },
  );
  const onCacheError = (error: unknown): void => {
    throw error;
  };
  const deps = { http, cache, trust, onCacheError };
  const get = (signal = never, checkpoint: CheckpointRef = two.checkpoint) =>
    fetchModel(deps, { taskId: TASK, layout, checkpoint }, { signal });
  const fromPath = routes.checkpointFrom.path({ digest: ends.target, base: ends.base });
  return { layout, key, version, one, two, delta, weights, asked, cache, get, fromPath };
}

test("[DW5] a client that has a former version asks for what it differs in, once, and keeps the result", async () => {
  const { layout, one, two, weights, asked, cache, get, fromPath } = await setUp();
  await cache.put(TASK, { layout, ...one });
  expect((await get()).weights).toEqual(weights);
  expect(asked).toEqual([fromPath]);
  expect((await cache.get(TASK))?.checkpoint.digest).toBe(two.checkpoint.digest);
  expect((await get()).weights).toEqual(weights);
  expect(asked).toHaveLength(1);
});

test("[DW15] how a version came, and how many bytes it took, is told", async () => {
  const set = await setUp(5_000);
  const whole = set.two.frame.length;
  expect((await set.get()).download).toEqual({ how: "whole", bytes: whole });
  expect((await set.get()).download).toEqual({ how: "cache", bytes: 0 });

  const following = await setUp(5_000, (path) =>
    path.includes("/from/")
      ? new Response(following.delta, { headers: { "content-length": "1234" } })
      : new Response(null),
  );
  await following.cache.put(TASK, { layout: following.layout, ...following.one });
  // As it travelled: `fetch` has unpacked it.
  expect((await following.get()).download).toEqual({ how: "delta", bytes: 1234 });

  const unwilling = await setUp(5_000, () => new Response(unwilling.two.frame));
  await unwilling.cache.put(TASK, { layout: unwilling.layout, ...unwilling.one });
  expect((await unwilling.get()).download).toEqual({ how: "whole", bytes: whole });

  // A delta that was of no use has been paid for as well.
  const lying = await setUp(5_000, () => new Response(lying.delta.fill(7, 16)));
  await lying.cache.put(TASK, { layout: lying.layout, ...lying.one });
  const { how, bytes } = (await lying.get()).download;
  expect({ how, bytes }).toEqual({ how: "whole", bytes: whole + lying.delta.length });
});

test("[DW5] the coordinator may answer with the whole, which is no second request", async () => {
  const set = await setUp(5_000, () => new Response(set.two.frame));
  await set.cache.put(TASK, { layout: set.layout, ...set.one });
  expect((await set.get()).weights).toEqual(set.weights);
  expect(set.asked).toEqual([set.fromPath]);
});

test("[DW5] whatever is wrong with a delta, the whole is fetched instead", async () => {
  const problem = (error: FederatedError) =>
    new Response(JSON.stringify(error.toProblem()), { status: error.status });
  const cases: Record<string, (delta: Uint8Array<ArrayBuffer>) => Response | Promise<Response>> = {
    "a difference that lies": (delta) => {
      delta[delta.length - 1]! ^= 1;
      return new Response(delta);
    },
    "a header that is damaged": (delta) => new Response(delta.fill(7, 8, 12)),
    "another pair's delta": (delta) => new Response(delta.fill(0, 16)),
    "cut off": (delta) => new Response(delta.slice(0, -4)),
    "too long": (delta) => new Response(Uint8Array.of(...delta, 0)),
    endless: () =>
      new Response(
        new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) }),
      ),
    empty: () => new Response(null),
    "the former version": () => new Response(new Uint8Array(64 + 20_000)),
    "a coordinator that knows no deltas": () =>
      problem(new FederatedError("NOT_FOUND", "no such route")),
    "a proxy": () => new Response("<html>", { status: 502 }),
    "no network": () => Promise.reject(new TypeError("fetch failed")),
  };
  for (const [name, answer] of Object.entries(cases)) {
    const set = await setUp(5_000, () => answer(set.delta));
    await set.cache.put(TASK, { layout: set.layout, ...set.one });
    expect((await set.get()).weights, name).toEqual(set.weights);
    expect(set.asked, name).toEqual([set.fromPath, set.two.checkpoint.url]);
  }
});

test("[DW7] a checkpoint whose signed size is not its model's is not asked for", async () => {
  const { layout, key, two, asked, get } = await setUp();
  for (const bytes of [64, two.checkpoint.bytes - 4, 2 ** 31]) {
    const subject = { modelVersion: 2, digest: two.checkpoint.digest, bytes };
    const signed = await signFor(key, { ...subject, taskId: TASK, layoutDigest: layout.digest });
    const lying = { ...two.checkpoint, bytes, signed };
    await expect(get(never, lying)).rejects.toMatchObject({ code: "UPDATE_LAYOUT_MISMATCH" });
  }
  expect(asked).toEqual([]);
});

test("[DW5] nothing is asked for where the cache has no such version, or the model is small", async () => {
  const set = await setUp();
  expect((await set.get()).weights).toEqual(set.weights);
  expect(set.asked).toEqual([set.two.checkpoint.url]);

  const other = await setUp();
  const layout = await createLayout([{ name: "w", shape: [5_001] }]);
  const older = await other.version(1, new Float32Array(5_001), layout);
  await other.cache.put(TASK, { layout, ...older });
  await other.get();
  expect(other.asked).toEqual([other.two.checkpoint.url]);

  const small = await setUp(4_000);
  await small.cache.put(TASK, { layout: small.layout, ...small.one });
  await small.get();
  expect(small.asked).toEqual([small.two.checkpoint.url]);
});

test("[DW5] whoever gives up gets ABORTED and causes no further request", async () => {
  const given = new AbortController();
  const set = await setUp(5_000, () => {
    given.abort();
    return Promise.reject(new TypeError("aborted"));
  });
  await set.cache.put(TASK, { layout: set.layout, ...set.one });
  await expect(set.get(given.signal)).rejects.toMatchObject({ code: "ABORTED" });
  expect(set.asked).toEqual([set.fromPath]);
});
