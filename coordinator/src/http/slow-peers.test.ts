/** Peers that are slow on purpose, over real sockets. */

import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";

import { encodeUpdate, routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";

import type { FakeHeart, FakeOptions } from "./app.fixture.ts";
import { ADMIN, ASSIGNMENT, createFakeHeart, ROUND } from "./app.fixture.ts";
import { createHttpApp } from "./app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
let origin: string;
const sockets: Socket[] = [];
async function start(options: FakeOptions = {}) {
  heart = await createFakeHeart(options);
  app = await createHttpApp(heart.deps);
  await app.listen({ host: "127.0.0.1", port: 0 });
  origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await app.close();
});

/** A connection on which `head` has been said. */
function say(head: string): { socket: Socket; heard: () => string; closed: Promise<unknown> } {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  socket.write(head.replaceAll("\n", "\r\n"));
  // However it is closed: who drips on is cut off in the end, when the answer has long been there.
  const closed = new Promise((resolve) => void socket.once("close", resolve));
  return { socket, heard: () => Buffer.concat(chunks).toString("latin1"), closed };
}

/** Calls `drip` until the connection is closed. */
async function trickle({ socket, closed }: ReturnType<typeof say>, drip: string): Promise<void> {
  const timer = setInterval(() => socket.write(drip), 20);
  await closed.finally(() => clearInterval(timer));
}

const put = (length: number, n = 1) =>
  `PUT ${routes.update.path({ roundId: ROUND })} HTTP/1.1\nhost: x\n` +
  `authorization: Bearer ${ASSIGNMENT}-${n}\ncontent-length: ${length}\n\n`;
const post = (length: number) =>
  `POST ${routes.tasks.pattern} HTTP/1.1\nhost: x\nauthorization: Bearer ${ADMIN}\n` +
  `content-type: application/json\ncontent-length: ${length}\n\n`;
const slow = { minUploadBytesPerSecond: 5000, slowPeerGraceMs: 200 };

describe("a slow sender", () => {
  it.each([
    ["nothing at all", "", ""],
    ["a head that never ends", "GET / HTTP/1.1\nhost: x\n", "x: y\r\n"],
  ])("[LIM7] of %s is sent away", async (_name, head, drip) => {
    await start({ limits: { headersTimeoutMs: 200 } });
    const peer = say(head);
    await (drip === "" ? peer.closed : trickle(peer, drip));
    expect(peer.heard()).toMatch(/^HTTP\/1.1 503 UNAVAILABLE/);
    expect(heart.counted.refused).toEqual(["headersTimeoutMs"]);
  });

  it("[LIM8] of an update gives its turn to the next one, and hears why", async () => {
    await start({ limits: { ...slow, concurrentUploads: 1 } });
    const peer = say(put(1_000));
    const delta = new Float32Array(heart.layout.parameterCount);
    const frame = encodeUpdate(heart.layout, { delta, numExamples: 1, metrics: {} });
    const dripping = trickle(peer, "x");
    const honest = await fetch(origin + routes.update.path({ roundId: ROUND }), {
      method: "PUT",
      headers: { authorization: `Bearer ${ASSIGNMENT}-2` },
      body: frame,
    });
    expect(honest.status).toBe(200);
    await dripping;
    expect(peer.heard()).toMatch(/^HTTP\/1.1 503 [^]*"limit":"minUploadBytesPerSecond"/);
    // It may come again, so nothing is held against it.
    expect(heart.refused).toEqual([]);
    expect(heart.counted.refused).toEqual(["minUploadBytesPerSecond"]);
  });

  it("[LIM8] of a JSON body hears why, and gives back what it held", async () => {
    await start({ limits: { ...slow, concurrentUploads: 1 } });
    const peer = say(post(1_000));
    await trickle(peer, " ");
    expect(peer.heard()).toMatch(/^HTTP\/1.1 503 [^]*"limit":"minUploadBytesPerSecond"/);
    const answer = await fetch(origin + routes.tasks.pattern, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ spec: { taskId: "t", model: { tensors: [] } } }),
    });
    expect(answer.status).not.toBe(503);
  });

  it("[LIM8] that goes away in the middle of a JSON body leaves nothing behind", async () => {
    await start({ limits: { concurrentUploads: 1, queuedUploads: 0 } });
    for (let i = 0; i < 3; i++) {
      const peer = say(post(1_000) + "{");
      await once(app.server, "request");
      peer.socket.destroy();
      await peer.closed;
    }
    let status = 429;
    while (status === 429) {
      const answer = await fetch(origin + routes.tasks.pattern, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
        body: "{}",
      });
      status = answer.status;
    }
    expect(status).toBe(400);
  });
});

describe("a hundred large uploads at once", () => {
  it("[LIM9] take no more memory than there is for uploads, and all get their turn", async () => {
    const memory = { uploadMemoryBytes: 4 * 2 ** 20, concurrentUploads: 100, queuedUploads: 100 };
    await start({ limits: { ...memory, uploadTimeoutMs: 60_000 }, parameterCount: 250_000 });
    const delta = new Float32Array(heart.layout.parameterCount).fill(1);
    const frame = encodeUpdate(heart.layout, { delta, numExamples: 1, metrics: {} });
    const before = process.memoryUsage().arrayBuffers;
    const peers = Array.from({ length: 100 }, (_, i) => say(put(frame.length, i)));
    // Headers of all of them, which is when memory is taken.
    for (const { socket } of peers) socket.write(frame.subarray(0, 1000));
    await expect.poll(() => heart.calls.length, { timeout: 10_000 }).toBe(100);
    await expect.poll(() => heart.counted.received).toBe(4 * 1000);
    // 4 frames of 1 MB, and what 100 sockets hold themselves; unbounded it would be 100 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 2 ** 20);
    for (const { socket } of peers) socket.write(frame.subarray(1000));
    await expect.poll(() => heart.counted.accepted, { timeout: 30_000 }).toBe(100);
    expect(heart.counted.refused).toEqual([]);
  });

  it("[LIM9] hold it until they are part of the sum, not only while they are read", async () => {
    await start({ limits: { uploadMemoryBytes: 100 } });
    const delta = new Float32Array(heart.layout.parameterCount);
    const body = encodeUpdate(heart.layout, { delta, numExamples: 1, metrics: {} });
    let goOn = () => {};
    let reports = 0;
    heart.onReport = () => {
      reports += 1;
      return new Promise((resolve) => (goOn = resolve));
    };
    const upload = (n: number) =>
      fetch(origin + routes.update.path({ roundId: ROUND }), {
        ...{ method: "PUT", body },
        headers: { authorization: `Bearer ${ASSIGNMENT}-${n}` },
      });
    const first = upload(1);
    await expect.poll(() => reports).toBe(1);
    const second = upload(2);
    await expect.poll(() => heart.calls.length).toBe(2);
    await fetch(origin + routes.tasks.pattern);
    expect(reports).toBe(1);
    goOn();
    expect((await first).status).toBe(200);
    await expect.poll(() => reports).toBe(2);
    goOn();
    expect((await second).status).toBe(200);
  });

  it("[LIM9] a body waits for memory as an update does", async () => {
    await start({ limits: { uploadMemoryBytes: 5000 } });
    let goOn = () => {};
    heart.onReport = () => new Promise((resolve) => (goOn = resolve));
    const delta = new Float32Array(heart.layout.parameterCount);
    const upload = fetch(origin + routes.update.path({ roundId: ROUND }), {
      method: "PUT",
      headers: { authorization: `Bearer ${ASSIGNMENT}` },
      body: encodeUpdate(heart.layout, { delta, numExamples: 1, metrics: {} }),
    });
    await expect.poll(() => heart.counted.received).toBeGreaterThan(0);
    let answered = false;
    const waiting = fetch(origin + routes.tasks.pattern, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ spec: "x".repeat(1_300) }),
    }).finally(() => (answered = true));
    // Time enough for an answer.
    for (let i = 0; i < 50; i++) await fetch(origin + routes.tasks.pattern);
    expect(answered).toBe(false);
    goOn();
    expect((await upload).status).toBe(200);
    expect((await waiting).status).toBe(400);
  });
});

describe("a slow reader", () => {
  const slowly = { minDownloadBytesPerSecond: 100_000, slowPeerGraceMs: 200 };

  it("[LIM10] of a checkpoint loses its connection", async () => {
    // More than the system takes for a reader that does not read.
    await start({ limits: slowly, parameterCount: 8_000_000 });
    const path = routes.checkpointByDigest.path({ digest: heart.digest });
    const peer = say(`GET ${path} HTTP/1.1\nhost: x\n\n`);
    await once(peer.socket, "data");
    peer.socket.pause();
    await expect
      .poll(() => heart.counted.refused, { timeout: 10_000 })
      .toEqual(["minDownloadBytesPerSecond"]);
    peer.socket.resume();
    await peer.closed;
    expect(peer.heard().length).toBeLessThan(heart.frame.length);
  });

  it("[LIM10] and one that reads steadily gets all of it", async () => {
    await start({ limits: slowly, parameterCount: 500_000 });
    const path = routes.checkpointByDigest.path({ digest: heart.digest });
    const response = await fetch(origin + path);
    expect(response.headers.get("content-length")).toBe(String(heart.frame.length));
    expect(Buffer.from(await response.arrayBuffer()).equals(heart.frame)).toBe(true);
    expect(heart.counted.refused).toEqual([]);
  });
});

describe("connections", () => {
  const idle = "GET / HTTP/1.1\n";

  it("[LIM4] beyond all that there may be are closed as they come, and cost nothing", async () => {
    await start({ limits: { maxConnections: 3 } });
    const held = [say(idle), say(idle), say(idle)];
    await expect.poll(() => connections()).toBe(3);
    const late = say(idle);
    await late.closed;
    expect(late.heard()).toBe("");
    expect(heart.counted.refused).toEqual(["maxConnections"]);
    held[0]?.socket.destroy();
    await expect.poll(() => connections()).toBe(2);
    expect((await fetch(origin + routes.livez.pattern)).status).toBe(200);
  });

  it("[LIM4] of one address beyond its limit hear so, and beyond what that takes are closed", async () => {
    await start({ limits: { connectionsPerAddress: 2 } });
    const held = [say(idle), say(idle)];
    await expect.poll(() => connections()).toBe(2);
    const refused = await fetch(origin + routes.tasks.pattern);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("connection")).toBe("close");
    expect(await refused.json()).toMatchObject({ details: { limit: "connectionsPerAddress" } });
    for (let i = 0; i < 64; i++) say(idle);
    await expect.poll(() => connections()).toBe(66);
    const late = say(idle);
    await late.closed;
    expect(late.heard()).toBe("");
    for (const { socket } of held) socket.destroy();
  });

  const connections = () =>
    new Promise<number>((resolve) => {
      app.server.getConnections((_error, count) => resolve(count));
    });
});
