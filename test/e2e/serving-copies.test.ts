import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ModelCache, Predictor } from "@tributary/client-sdk";
import { createClient, createMemoryCache } from "@tributary/client-sdk";
import { createFileCache } from "@tributary/client-sdk/node";
import type { ModelManifest, ServingEncoding, TaskId } from "@tributary/protocol";
import { decodeServingCopy, openManifest, routes, sha256 } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import { runCli } from "../../coordinator/src/cli/run.ts";
import { createKeyRing } from "../../coordinator/src/storage/seal.ts";
import { verifyStore } from "../../coordinator/src/storage/verify.ts";
import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { moveBy } from "../support/data.ts";

const TASK = "served" as TaskId;
const PARAMETERS = 3_000;
const values = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + 1));
const task = smallTask({
  taskId: TASK,
  model: { tensors: [{ name: "w", shape: [PARAMETERS] }] },
  serving: { encodings: ["int8", "bfloat16"] },
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-copies-"));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const ADMIN = "admin-token-of-the-test-of-copies";
const ENCRYPTION = { encryptionKey: "1f".repeat(32) };
const start = (retention: { modelVersions?: number } = {}) =>
  startCoordinator({
    config: {
      storage: {
        ...{ kind: "sqlite", directory: join(directory, "data"), ...ENCRYPTION },
        backupDirectory: join(directory, "backups"),
      },
      retention,
      auth: { adminToken: ADMIN },
    },
  });

const playRound = (running: RunningCoordinator, roundNumber: number) =>
  moveBy(
    running,
    TASK,
    roundNumber,
    values.map((value) => value / 100),
  );

async function copyOf(
  { url, coordinator }: RunningCoordinator,
  version: number,
  encoding: ServingEncoding,
) {
  const model = await coordinator.models.get(TASK, version);
  const { layout } = await coordinator.tasks.get(TASK);
  const copy = model.copies![encoding]!;
  const manifest = await openManifest(model.signed, model);
  expect(manifest.copies?.[encoding]).toEqual({ digest: copy.digest, bytes: copy.bytes });
  const byDigest = await fetch(url + copy.url);
  expect(byDigest.headers.get("cache-control")).toMatch(/immutable/);
  const bytes = new Uint8Array(await byDigest.arrayBuffer());
  expect(bytes).toHaveLength(copy.bytes);
  expect(await sha256(bytes)).toBe(copy.digest);
  const path = routes.checkpoint.path({ taskId: TASK, modelVersion: version });
  const byVersion = await fetch(`${url}${path}?encoding=${encoding}`);
  expect(byVersion.headers.get("etag")).toBe(`"${copy.digest}"`);
  const decoded = decodeServingCopy(layout, bytes);
  expect(decoded).toMatchObject({ encoding, modelVersion: version });
  decoded.weights.run(0, decoded.weights.length);
  return { ...copy, weights: new Float32Array(decoded.weights.bytes.buffer) };
}

const largestError = (weights: Float32Array, exact: Float32Array) =>
  weights.reduce((most, weight, i) => Math.max(most, Math.abs(weight - exact[i]!)), 0);

/** Answers with the weights themselves. */
const showing: Predictor<null, Float32Array> = {
  load: async (weights) => ({ predict: async () => weights, dispose: () => {} }),
};

test("[DW11] a task that asks for copies has them of every version, the first one included, under its signature", async () => {
  await using running = await start();
  await running.coordinator.tasks.create(task, values);
  await playRound(running, 1);
  for (const [version, exact] of [values, values.map((v) => v + v / 100)].entries()) {
    const [int8, bfloat16] = [
      await copyOf(running, version, "int8"),
      await copyOf(running, version, "bfloat16"),
    ];
    expect(int8.bytes).toBe(64 + 4 * 3 + PARAMETERS);
    expect(bfloat16.bytes).toBe(64 + 2 * PARAMETERS);
    expect(largestError(int8.weights, exact)).toBeLessThan(1.02 / 127 / 1.9);
    expect(largestError(bfloat16.weights, exact)).toBeLessThan(2 ** -8);
  }
});

test("[DW11] without `serving` there are none, and what it cannot be is refused with its path", async () => {
  await using running = await startCoordinator();
  const { serving, ...plain } = task;
  expect(serving).toBeDefined();
  await running.coordinator.tasks.create(plain, values);
  const model = await running.coordinator.models.get(TASK, 0);
  expect(model.copies).toBeUndefined();
  expect((JSON.parse(model.signed.manifest) as ModelManifest).copies).toBeUndefined();
  const path = routes.checkpoint.path({ taskId: TASK, modelVersion: 0 });
  const missing = await fetch(`${running.url}${path}?encoding=int8`);
  expect(await missing.json()).toMatchObject({ code: "MODEL_NOT_FOUND" });
  const odd = await fetch(`${running.url}${path}?encoding=int2`);
  expect(await odd.json()).toMatchObject({ code: "MALFORMED_MESSAGE" });
  for (const [at, encodings] of [
    ["serving.encodings", []],
    ["serving.encodings.1", ["int8", "int8"]],
    ["serving.encodings.0", ["int4"]],
  ] as const) {
    await expect(
      running.coordinator.tasks.create({ ...task, taskId: "odd", serving: { encodings } as never }),
    ).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      details: { faults: [{ path: at }] },
    });
  }
});

test("[DW12] copies survive a restart, are in a backup, are verified, and go with their version", async () => {
  const files = async () =>
    (await readdir(join(directory, "data", "checkpoints"), { recursive: true })).filter(
      (name) => name.length > 60,
    );
  let one: Awaited<ReturnType<typeof copyOf>>;
  {
    await using running = await start();
    await running.coordinator.tasks.create(task, values);
    await playRound(running, 1);
    one = await copyOf(running, 1, "int8");
  }
  expect(await files()).toHaveLength(6);
  {
    await using running = await start({ modelVersions: 2 });
    expect(await copyOf(running, 1, "int8")).toEqual(one);
    const zero = await copyOf(running, 0, "bfloat16");
    await playRound(running, 2);
    await expect.poll(files, { timeout: 15_000 }).toHaveLength(6);
    const backup = await fetch(`${running.url}/v1/backups`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "copied" }),
    });
    expect(await backup.json()).toMatchObject({ blobs: 6, damaged: [] });
    const gone = await fetch(running.url + zero.url);
    expect(await gone.json()).toMatchObject({ code: "MODEL_NOT_FOUND" });
    expect(await copyOf(running, 1, "int8")).toEqual(one);
  }
  const data = join(directory, "data");
  const keys = { keys: createKeyRing(ENCRYPTION)! };
  expect(await verifyStore(data, keys)).toMatchObject({ faults: [], checked: { blobs: 6 } });
  const copied = await verifyStore(join(directory, "backups", "copied"), keys);
  expect(copied).toMatchObject({ faults: [], orphans: [], checked: { blobs: 6 } });
  const file = join(data, "checkpoints", one.digest.slice(0, 2), one.digest);
  await writeFile(file, "damage");
  const { faults } = await verifyStore(data, keys);
  expect(faults).toMatchObject([{ where: `int8 copy ${one.digest}` }]);
});

test("[DW13] `models download --encoding` saves a copy, or its weights as float32, verified by what was signed", async () => {
  await using running = await start();
  await running.coordinator.tasks.create(task, values);
  const int8 = await copyOf(running, 0, "int8");
  const run = async (taskId: string, ...flags: string[]) => {
    let out = "";
    let err = "";
    const exitCode = await runCli(["models", "download", taskId, "--url", running.url, ...flags], {
      stdout: { write: (text) => void (out += text) },
      stderr: { write: (text) => void (err += text) },
      env: {},
      cwd: directory,
      isTTY: false,
    });
    return { exitCode, out: out.trim(), err };
  };
  const frame = await run(TASK, "--encoding", "int8");
  expect(frame).toMatchObject({ exitCode: 0, out: join(directory, "served-v0.int8.ckpt") });
  expect(frame.err).toContain(`digest ${int8.digest} verified`);
  expect(await sha256(await readFile(frame.out))).toBe(int8.digest);
  const weights = await run(TASK, "--encoding", "int8", "--weights");
  expect(weights).toMatchObject({ exitCode: 0, out: join(directory, "served-v0.int8.f32") });
  const saved = new Uint8Array(await readFile(weights.out));
  expect(new Float32Array(saved.buffer)).toEqual(int8.weights);
  const { serving, ...plain } = task;
  expect(serving).toBeDefined();
  await running.coordinator.tasks.create({ ...plain, taskId: "plain" }, values);
  const none = await run("plain", "--encoding", "int8");
  expect(none.exitCode).not.toBe(0);
  expect(none.err).toContain("has no copy as int8");
  expect((await run(TASK, "--encoding", "int4")).exitCode).not.toBe(0);
});

/** What a client with this cache serves, and which paths it asked for. */
async function serve(
  url: string,
  cache: ModelCache,
  encoding: ServingEncoding | undefined,
  tamper: (path: string, response: Response) => Response | Promise<Response> = (_, answer) =>
    answer,
) {
  const paths: string[] = [];
  const noting: typeof fetch = async (input, init) => {
    const { pathname } = new URL(input as string);
    paths.push(pathname);
    return tamper(pathname, await fetch(input, init));
  };
  await using client = createClient({
    url,
    cache,
    fetch: noting,
    backoff: { baseMs: 1, maxMs: 2 },
  });
  const model = client.model(TASK, {
    predictor: showing,
    ...(encoding === undefined ? {} : { encoding }),
  });
  await model.ready;
  return {
    paths,
    version: model.version,
    digest: model.digest,
    weights: await model.predict(null),
  };
}

test("[DW14] a client serves the copy that it asks for, decoded to float32, and keeps it beside the exact one", async () => {
  await using running = await start();
  await running.coordinator.tasks.create(task, values);
  const { digest } = await running.coordinator.models.get(TASK, 0);
  for (const cache of [
    createMemoryCache(),
    createFileCache({ directory: join(directory, "client") }),
  ]) {
    for (const encoding of ["int8", "bfloat16"] as const) {
      const copy = await copyOf(running, 0, encoding);
      const first = await serve(running.url, cache, encoding);
      expect(first).toEqual({ paths: [copy.url], version: 0, digest, weights: copy.weights });
      const again = await serve(running.url, cache, encoding);
      expect(again).toEqual({ ...first, paths: [] });
    }
    // Nothing but the exact one is trained from, and where it is at hand it serves, too.
    const exact = await serve(running.url, cache, undefined);
    expect(exact.weights).toEqual(values);
    expect(exact.paths).toHaveLength(1);
    expect(await cache.get(TASK)).toMatchObject({ checkpoint: { digest } });
    expect((await cache.get(TASK, "int8"))?.copyOf).toMatchObject({ encoding: "int8", digest });
  }
});

test("[DW14] where a task has no copies, or the exact one is at hand, that serves", async () => {
  await using running = await start();
  const { serving, ...plain } = task;
  expect(serving).toBeDefined();
  await running.coordinator.tasks.create(plain, values);
  const cache = createMemoryCache();
  const first = await serve(running.url, cache, "int8");
  expect(first.weights).toEqual(values);
  expect(first.paths).toHaveLength(1);
  const again = await serve(running.url, cache, "int8");
  expect(again).toEqual({ ...first, paths: [] });
});

test("[DW14] a copy whose bytes are not those that were signed serves nothing", async () => {
  await using running = await start();
  await running.coordinator.tasks.create(task, values);
  const { url } = await copyOf(running, 0, "int8");
  let fetched = 0;
  const lie = async (path: string, response: Response) => {
    if (path !== url) return response;
    fetched += 1;
    const bytes = new Uint8Array(await response.arrayBuffer());
    bytes[bytes.length - 5]! ^= 1;
    return new Response(fetched < 3 ? bytes : null, { status: fetched < 3 ? 200 : 404 });
  };
  const cache = createMemoryCache();
  await expect(serve(running.url, cache, "int8", lie)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await cache.get(TASK, "int8")).toBeUndefined();
  // Damage of a copy that was kept is found, too: another's digest, and another encoding.
  const held = createMemoryCache();
  await serve(running.url, held, "int8");
  const copy = (await held.get(TASK, "int8"))!;
  const { checkpoint } = copy;
  for (const odd of [
    { ...copy, checkpoint: { ...checkpoint, digest: copy.copyOf!.digest } },
    { ...copy, copyOf: { ...copy.copyOf!, encoding: "bfloat16" as const } },
  ]) {
    const errors: string[] = [];
    const one: ModelCache = { ...createMemoryCache(), get: async () => odd };
    const trust = { publicKeys: [running.coordinator.keys.publicKey] };
    await using client = createClient({ url: running.url, cache: one, trust });
    const model = client.model(TASK, { predictor: showing, encoding: "int8" });
    model.on("error", (error) => errors.push(error.code));
    await model.ready;
    expect(errors).toEqual(["MODEL_UNTRUSTED"]);
    expect(model.version).toBe(0);
  }
});
