import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";

import type { MonitoringEvent } from "@tributary/protocol";
import { FederatedError, routes } from "@tributary/protocol";
import { MonitoringEventSchema } from "@tributary/protocol/schema";
import type { FastifyInstance } from "fastify";
import { Compile } from "typebox/compile";
import { afterEach, describe, expect, it } from "vitest";

import type { FakeHeart, FakeOptions } from "../app.fixture.ts";
import {
  ADMIN,
  CLIENT,
  createFakeHeart,
  READER,
  roundResource,
  TASK,
  VIEWER,
} from "../app.fixture.ts";
import { createHttpApp } from "../app.ts";

let app: FastifyInstance;
let heart: FakeHeart;
let url: string;
const readers: AbortController[] = [];
async function start(options: FakeOptions = {}) {
  heart = await createFakeHeart(options);
  app = await createHttpApp(heart.deps);
  await app.listen({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${routes.events.path()}`;
}
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.abort();
  await app.close();
});

/** Reads a stream block by block, as text between empty lines. */
async function open(query = "", headers: Record<string, string> = {}) {
  const controller = new AbortController();
  readers.push(controller);
  const response = await fetch(url + query, { headers, signal: controller.signal });
  const chunks = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async (): Promise<string> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        return block;
      }
      const { value, done } = await chunks.read();
      if (done) return "end";
      text += value;
    }
  };
  const nextEvent = async () => {
    const block = await next();
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    return { id: field("id"), type: field("event"), data: field("data") };
  };
  return { response, next, nextEvent, close: () => controller.abort() };
}

/** A heart whose reader is let in for as long as `refusal` is undefined. */
async function startGuarded() {
  const guard: { refusal: FederatedError | undefined; asked: number } = {
    refusal: undefined,
    asked: 0,
  };
  heart = await createFakeHeart({ limits: { sseHeartbeatMs: 10 } });
  const authenticator = {
    ...heart.deps.authenticator,
    reader: async () => {
      guard.asked += 1;
      if (guard.refusal !== undefined) throw guard.refusal;
    },
  };
  app = await createHttpApp({ ...heart.deps, authenticator });
  await app.listen({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${routes.events.path()}`;
  return guard;
}

const created = { type: "task:created", taskId: TASK, data: { state: "running" } } as const;
const progress = { type: "round:progress", taskId: TASK, data: roundResource } as const;
/** About 90 KB. */
const large = (() => {
  const scores = { precision: 0.123456789, recall: 0.123456789, f1: 0.123456789, support: 12345 };
  const perClass = Array.from({ length: 1000 }, () => scores);
  const evaluation = { ...roundResource.evaluation!, perClass };
  return { ...progress, data: { ...roundResource, evaluation } };
})();

describe("event stream", () => {
  it("[AU9] ends with its reader's credential, and not while that cannot be checked", async () => {
    const guard = await startGuarded();
    const stream = await open();
    guard.refusal = new FederatedError("UNAVAILABLE", "the provider is away");
    for (let i = 0; i < 5; i++) expect(await stream.next()).not.toBe("end");
    expect(guard.asked).toBeGreaterThan(2);
    guard.refusal = new FederatedError("UNAUTHENTICATED", "it has expired");
    let block = "";
    while (block !== "end") block = await stream.next();
  });

  it("[API22] sends each event with id, type and itself as JSON, without a client's id", async () => {
    await start();
    const stream = await open();
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(stream.response.headers.get("cache-control")).toBe("no-store");
    expect(stream.response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await stream.next()).toBe("retry: 2000");
    heart.bus.emit(created);
    heart.bus.emit(progress);
    expect(await stream.nextEvent()).toMatchObject({ id: "100", type: "task:created" });
    const { id, type, data } = await stream.nextEvent();
    expect({ id, type }).toEqual({ id: "101", type: "round:progress" });
    expect(data).not.toContain(CLIENT);
    const event = JSON.parse(data!) as MonitoringEvent;
    expect([...Compile(MonitoringEventSchema).Errors(event)]).toEqual([]);
    expect(event).toMatchObject({
      id: "101",
      taskId: TASK,
      data: { roundNumber: 3, epsilon: 1.25 },
    });
  });

  it("[API23] goes on after `Last-Event-ID`, or after the query's id on a first connection", async () => {
    await start();
    for (let i = 0; i < 4; i++) heart.bus.emit(created);
    for (const stream of [
      await open("", { "last-event-id": "101" }),
      await open("?lastEventId=101"),
      await open("?lastEventId=100", { "last-event-id": "101" }),
    ]) {
      await stream.next();
      expect((await stream.nextEvent()).id).toBe("102");
      expect((await stream.nextEvent()).id).toBe("103");
    }
  });

  it("[API23] says `reset` first when events after that id are forgotten", async () => {
    await start({ remember: 2 });
    for (let i = 0; i < 5; i++) heart.bus.emit(created);
    const stream = await open("", { "last-event-id": "100" });
    await stream.next();
    expect(await stream.next()).toBe("event: reset\ndata: {}");
    expect((await stream.nextEvent()).id).toBe("103");
  });

  it("[API23] a reader who was away for long gets all it missed, however much that is", async () => {
    await start({ remember: 200, limits: { sseBufferBytes: 10_000 } });
    for (let i = 0; i < 101; i++) heart.bus.emit(large); // 9 MB, more than a socket takes at once
    const stream = await open("?lastEventId=100");
    heart.bus.emit(created);
    await stream.next();
    for (let id = 101; id <= 201; id++) expect((await stream.nextEvent()).id).toBe(String(id));
  });

  it("[API24] can be narrowed to a task and to types", async () => {
    await start();
    const stream = await open(`?taskId=${TASK}&types=round:progress,model:published`);
    await stream.next();
    heart.bus.emit({ ...progress, taskId: "other" as typeof TASK });
    heart.bus.emit(created);
    heart.bus.emit(progress);
    expect((await stream.nextEvent()).id).toBe("102");
    for (const [query, code] of [
      ["?types=round:ended", "MALFORMED_MESSAGE"],
      ["?taskId=none", "TASK_NOT_FOUND"],
      ["?lastEventId=x", "MALFORMED_MESSAGE"],
      ["?since=3", "MALFORMED_MESSAGE"],
    ] as const) {
      const answer = await fetch(url + query);
      expect(await answer.json()).toMatchObject({ code });
    }
  });

  it("[API25] a silent stream is kept alive, and its id goes on past unwanted events", async () => {
    await start({ limits: { sseHeartbeatMs: 40 } });
    const stream = await open("?types=model:published");
    await stream.next();
    expect(await stream.next()).toBe(": alive");
    heart.bus.emit(created);
    expect(await stream.next()).toBe(": alive\nid: 100");
  });

  it("[API25] no more streams than allowed; one that closes makes room", async () => {
    await start({ limits: { sseStreams: 1 } });
    const first = await open();
    const refused = await fetch(url);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("10");
    first.close();
    const deadline = performance.now() + 5000;
    let status = 429;
    while (status === 429 && performance.now() < deadline) {
      const again = await open();
      status = again.response.status;
      if (status === 429) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(status).toBe(200);
  });

  it("[API25] a reader that does not read is cut off, and harms no other", async () => {
    await start({ limits: { sseBufferBytes: 1_000_000 } });
    const { port } = app.server.address() as AddressInfo;
    const lazy = connect(port, "127.0.0.1");
    lazy.pause();
    lazy.write(`GET ${routes.events.path()} HTTP/1.1\r\nhost: x\r\n\r\n`);
    const connections = () =>
      new Promise<number>((resolve) => app.server.getConnections((_, count) => resolve(count)));
    while ((await connections()) < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    const reader = await open();
    await reader.next();
    const deadline = performance.now() + 10_000;
    let sent = 0;
    while ((await connections()) > 1 && performance.now() < deadline) {
      for (let i = 0; i < 8; i++) heart.bus.emit(large);
      for (let i = 0; i < 8; i++) await reader.nextEvent();
      sent += 8;
    }
    expect(await connections()).toBe(1);
    heart.bus.emit(created);
    expect((await reader.nextEvent()).id).toBe(String(100 + sent));
    lazy.destroy();
  });

  it("[API25] readers that have missed much and do not read cost next to nothing, and are cut off", async () => {
    await start({ remember: 200, limits: { sseStreams: 10, slowPeerGraceMs: 500 } });
    const served = new Set<Socket>();
    app.server.on("connection", (socket) => {
      served.add(socket);
      socket.once("close", () => served.delete(socket));
    });
    for (let i = 0; i < 101; i++) heart.bus.emit(large); // 9 MB
    const { port } = app.server.address() as AddressInfo;
    const lazy = Array.from({ length: 10 }, () => {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.write(`GET ${routes.events.path()}?lastEventId=0 HTTP/1.1\r\nhost: x\r\n\r\n`);
      return socket.pause();
    });
    await expect.poll(() => [...served].filter((s) => s.bytesWritten > 1e5).length).toBe(10);
    for (const socket of served) expect(socket.writableLength).toBeLessThan(500_000);
    await expect.poll(() => served.size, { timeout: 10_000 }).toBe(0);
    expect(heart.counted.refused).toContain("minDownloadBytesPerSecond");
    for (const socket of lazy) socket.destroy();
  });

  it("[API25] clients do not take the places of viewers and operators", async () => {
    await start({ protected: true, limits: { sseStreams: 1 } });
    const as = (token: string) => ({ authorization: `Bearer ${token}` });
    await open("", as(READER));
    expect((await fetch(url, { headers: as(READER) })).status).toBe(429);
    const watching = await open("", as(VIEWER));
    expect(watching.response.status).toBe(200);
    expect((await fetch(url, { headers: as(ADMIN) })).status).toBe(429);
  });
});
