/** Deltas and copies that are damaged on the coordinator's disk or on their way: a client never uses a wrong model. */

import { readFile, rm, mkdtemp, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { ModelCache, ModelDownload, Predictor } from "@tributary/client-sdk";
import { createClient, createMemoryCache } from "@tributary/client-sdk";
import type { Digest, ServingEncoding, TaskId } from "@tributary/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { moveBy } from "../support/data.ts";

const TASK = "damaged" as TaskId;
const PARAMETERS = 20_000;
const values = Float32Array.from({ length: PARAMETERS }, (_, i) => Math.sin(i + 1));
const task = smallTask({
  taskId: TASK,
  model: { tensors: [{ name: "w", shape: [PARAMETERS] }] },
  serving: { encodings: ["int8", "bfloat16"] },
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tributary-damaged-"));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

const data = () => join(directory, "data");
/** Nothing is answered from memory that has left it. */
const start = () =>
  startCoordinator({
    config: { storage: { kind: "sqlite", directory: data() }, checkpoints: { keepInMemory: 1 } },
  });

/** Two clients move one value in a hundred by a thousandth. */
const playRound = (running: RunningCoordinator, roundNumber: number) =>
  moveBy(
    running,
    TASK,
    roundNumber,
    values.map((_, i) => (i % 100 === roundNumber ? 1e-3 : 0)),
  );

const exactly = (version: number) =>
  values.map((value, i) =>
    i % 100 >= 1 && i % 100 <= version ? value + Math.fround(1e-3) : value,
  );

async function damage(digest: Digest, at: number): Promise<void> {
  const file = join(data(), "checkpoints", digest.slice(0, 2), digest);
  const bytes = await readFile(file);
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
  await writeFile(file, bytes);
}

const showing: Predictor<null, Float32Array> = {
  load: async (weights) => ({ predict: async () => weights, dispose: () => {} }),
};

/** What a client comes to serve, how it came, and what it was told of: until it serves, or is refused. */
async function serve(
  { coordinator }: RunningCoordinator,
  {
    cache = createMemoryCache(),
    encoding,
    url,
  }: {
    readonly cache?: ModelCache;
    readonly encoding?: ServingEncoding;
    readonly url: string;
  },
) {
  await using client = createClient({
    ...{ url, cache, backoff: { baseMs: 1, maxMs: 2 } },
    trust: { publicKeys: [coordinator.keys.publicKey] },
  });
  const model = client.model(TASK, {
    predictor: showing,
    ...(encoding === undefined ? {} : { encoding }),
  });
  const downloads: ModelDownload["how"][] = [];
  const errors: string[] = [];
  model.on("update", ({ download }) => downloads.push(download.how));
  const refused = new Promise<void>((resolve) => {
    model.on("error", ({ code }) => {
      errors.push(code);
      resolve();
    });
  });
  await Promise.race([model.ready, refused]);
  const weights = model.version === undefined ? undefined : await model.predict(null);
  return { version: model.version, downloads, errors, weights };
}

/** A client's cache that holds version `version`. */
async function cacheAt(running: RunningCoordinator, version: number): Promise<ModelCache> {
  const cache = createMemoryCache();
  expect(await serve(running, { url: running.url, cache })).toMatchObject({ version });
  return cache;
}

test("[DW16] a former version that is damaged on disk is no base: the whole comes, and is right", async () => {
  let cache: ModelCache;
  let base: Digest;
  {
    await using running = await start();
    await running.coordinator.tasks.create(task, values);
    cache = await cacheAt(running, 0);
    base = (await running.coordinator.models.get(TASK, 0)).digest;
    await playRound(running, 1);
  }
  await damage(base, 5_000);
  await using running = await start();
  const served = await serve(running, { url: running.url, cache });
  expect(served).toMatchObject({ version: 1, weights: exactly(1), errors: [] });
  expect(served.downloads).toEqual(["cache", "whole"]);
});

test("[DW16] the newest version damaged on disk stops the coordinator with a code", async () => {
  {
    await using running = await start();
    await running.coordinator.tasks.create(task, values);
    await playRound(running, 1);
    await damage((await running.coordinator.models.get(TASK, 1)).digest, -9);
  }
  await expect(start()).rejects.toMatchObject({ code: "CHECKPOINT_CORRUPT" });
});

test("[DW16] a copy that is damaged on disk is refused, and its exact one and other copies are served", async () => {
  {
    await using running = await start();
    await running.coordinator.tasks.create(task, values);
    await damage((await running.coordinator.models.get(TASK, 0)).copies!.int8!.digest, -9);
  }
  await using running = await start();
  expect(await serve(running, { url: running.url, encoding: "int8" })).toEqual({
    ...{ version: undefined, weights: undefined, downloads: [], errors: ["CHECKPOINT_CORRUPT"] },
  });
  const half = await serve(running, { url: running.url, encoding: "bfloat16" });
  expect(half).toMatchObject({ version: 0, downloads: ["copy"], errors: [] });
  expect(await serve(running, { url: running.url })).toMatchObject({ version: 0, weights: values });
});

test("[DW16] bits that flip on the way of a delta or a copy cost a request, and no wrong model", async () => {
  await using running = await start();
  await running.coordinator.tasks.create(task, values);
  const cache = await cacheAt(running, 0);
  await playRound(running, 1);
  const flipped: string[] = [];
  await using road = await badRoad(running.url, (path, body) => {
    if (!path.includes("/from/")) return body;
    flipped.push(path);
    body[body.length >> 1]! ^= 0x04;
    return body;
  });
  const served = await serve(running, { url: road.url, cache });
  expect(served).toMatchObject({ version: 1, weights: exactly(1), errors: [] });
  expect(served.downloads.at(-1)).toBe("whole");
  expect(flipped).toHaveLength(1);

  const { digest } = (await running.coordinator.models.get(TASK, 1)).copies!.int8!;
  let left = 2;
  await using other = await badRoad(running.url, (path, body) => {
    if (path.endsWith(digest) && left-- > 0) body[100]! ^= 1;
    return body;
  });
  const copied = await serve(running, { url: other.url, encoding: "int8" });
  expect(copied).toMatchObject({ version: 1, downloads: ["copy"] });
  expect(left).toBe(-1);
});

/** Passes everything on, sockets too, but for bodies of answers, which `change` may. */
async function badRoad(
  target: string,
  change: (path: string, body: Buffer) => Buffer,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const { hostname, port } = new URL(target);
  const ask = (incoming: IncomingMessage) =>
    request({
      ...{ hostname, port, path: incoming.url, method: incoming.method },
      headers: { ...incoming.headers, host: `${hostname}:${port}` },
    });
  const server = createServer((incoming, outgoing) => {
    incoming.pipe(ask(incoming)).on("response", (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        outgoing.end(change(incoming.url ?? "", Buffer.concat(chunks)));
      });
    });
  });
  server.on("upgrade", (incoming, socket, head) => {
    ask(incoming)
      .on("upgrade", (answer, upstream, first) => {
        const fields = answer.rawHeaders.map((text, i) => text + (i % 2 === 0 ? ": " : "\r\n"));
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join("")}\r\n`);
        socket.write(first);
        upstream.write(head);
        socket.on("error", () => upstream.destroy());
        upstream.on("error", () => socket.destroy());
        upstream.pipe(socket).pipe(upstream);
      })
      .end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
