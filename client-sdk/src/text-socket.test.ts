/** All that is promised of a client over its connection holds with the socket that browsers have. */

import { expect, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import { createDeferred } from "./deferred.ts";
import type { TextSocket } from "./text-socket.ts";

vi.mock("#socket", () => import("./text-socket.ts"));
// Node has a WebSocket of its own from version 22.
vi.stubGlobal("WebSocket", WebSocket);

await import("./client.test.ts");
await import("./client-close.test.ts");
await import("./conditions.test.ts");
await import("./credentials.test.ts");
await import("./untrusted.test.ts");

const { io } = await import("./text-socket.ts");

/** A server that says word for word what the test wants. */
async function startServer() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", path: "/v1/socket/" });
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  const heard: string[] = [];
  const connections: WebSocket[] = [];
  const watchers = new Set<() => void>();
  const note = () => {
    for (const watcher of [...watchers]) watcher();
  };
  server.on("connection", (connection) => {
    connections.push(connection);
    connection.on("message", (frame) => {
      heard.push((frame as Buffer).toString());
      note();
    });
    connection.on("close", () => {
      heard.push("closed");
      note();
    });
    note();
  });
  const until = (condition: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  return {
    origin: `http://127.0.0.1:${port}`,
    heard,
    connections,
    until,
    say: (frame: string | Buffer) => connections.at(-1)!.send(frame),
    [Symbol.asyncDispose]: async () => {
      for (const connection of connections) connection.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const HELLO = `0${JSON.stringify({ sid: "x", pingInterval: 25_000, pingTimeout: 20_000 })}`;
const WELCOME = `40${JSON.stringify({ sid: "y" })}`;

const socketTo = (origin: string) => {
  const told: [string, unknown][] = [];
  const socket = io(origin, {
    path: "/v1/socket",
    auth: (send) => send({ clientKey: "k" }),
    reconnectionDelay: 5,
    reconnectionDelayMax: 20,
  });
  for (const event of ["connect", "connect_error", "disconnect", "task:paused"]) {
    socket.on(event, (value) => told.push([event, value]));
  }
  return { socket, told };
};

const next = (socket: TextSocket, event: string) =>
  new Promise<unknown>((resolve) => socket.on(event, resolve));

test("[BU9] the socket of the bundles speaks socket.io: handshake, events, answers, heartbeats, farewell", async () => {
  await using server = await startServer();
  const { socket, told } = socketTo(server.origin);
  expect(socket.active).toBe(false);
  const isConnected = next(socket, "connect");
  socket.connect();
  socket.connect();
  await server.until(() => server.connections.length === 1);
  server.say(HELLO);
  await server.until(() => server.heard.length === 1);
  expect(server.heard).toEqual(['40{"clientKey":"k"}']);
  expect(socket.connected).toBe(false);
  server.say(WELCOME);
  await isConnected;
  expect(socket.connected).toBe(true);

  server.say("2");
  await server.until(() => server.heard.length === 2);
  expect(server.heard[1]).toBe("3");

  const isTold = next(socket, "task:paused");
  server.say(`42${JSON.stringify(["task:paused", { paused: true }])}`);
  expect(await isTold).toEqual({ paused: true });

  const answers = [1, 2].map((n) => socket.timeout(5_000).emitWithAck("checkin", { n }));
  await server.until(() => server.heard.length === 4);
  expect(server.heard.slice(2)).toEqual(['420["checkin",{"n":1}]', '421["checkin",{"n":2}]']);
  server.say('431[{"ok":2}]');
  server.say('430[{"ok":1}]');
  expect(await Promise.all(answers)).toEqual([{ ok: 1 }, { ok: 2 }]);
  await expect(socket.timeout(20).emitWithAck("leave", {})).rejects.toThrow(/no answer/);

  const lost = socket.timeout(60_000).emitWithAck("watch", {});
  await server.until(() => server.heard.length === 6);
  socket.disconnect();
  await expect(lost).rejects.toThrow(/no answer/);
  await server.until(() => server.heard.includes("closed"));
  expect(server.heard.slice(6)).toEqual(["41", "closed"]);
  expect(told.map(([event]) => event)).toEqual(["connect", "task:paused", "disconnect"]);
  expect(socket.active).toBe(false);
  expect(server.connections).toHaveLength(1);
});

test("[BU9] it comes back by itself from a lost connection, and leaves it to its owner after a farewell or refusal", async () => {
  await using server = await startServer();
  const { socket, told } = socketTo(server.origin);
  const greet = async (n: number) => {
    await server.until(() => server.connections.length === n);
    server.say(HELLO);
    server.say(WELCOME);
    await expect.poll(() => socket.connected).toBe(true);
  };
  socket.connect();
  await greet(1);
  server.connections[0]!.terminate();
  await greet(2);
  // Before it is let in, too.
  server.connections[1]!.terminate();
  await server.until(() => server.connections.length === 3);
  server.connections[2]!.terminate();
  await greet(4);
  server.say("41");
  await expect.poll(() => socket.connected).toBe(false);
  expect(socket.active).toBe(false);

  socket.connect();
  await server.until(() => server.connections.length === 5);
  server.say(HELLO);
  server.say(`44${JSON.stringify({ message: "RATE_LIMITED", data: { code: "RATE_LIMITED" } })}`);
  await expect.poll(() => socket.active).toBe(false);
  expect(told.at(-1)).toMatchObject(["connect_error", { data: { code: "RATE_LIMITED" } }]);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(server.connections).toHaveLength(5);
  expect(told.map(([event]) => event)).toEqual([
    "connect",
    "disconnect",
    "connect",
    "disconnect",
    "connect_error",
    "connect",
    "disconnect",
    "connect_error",
  ]);
});

test("[BU9] a server that falls silent, or says what cannot be read, is left for another try", async () => {
  for (const nonsense of [
    Buffer.from([1, 2]),
    "",
    "9",
    "0{",
    "0{}",
    `0${JSON.stringify({ pingInterval: "x", pingTimeout: 1 })}`,
    "42",
    '42{"a":1}',
    '42["connect"]',
    '42["disconnect"]',
    "42[",
    "4",
    WELCOME,
    '45["binary"]',
    "43",
  ]) {
    await using server = await startServer();
    const { socket, told } = socketTo(server.origin);
    socket.connect();
    await server.until(() => server.connections.length === 1);
    server.say(HELLO);
    server.say(WELCOME);
    await expect.poll(() => socket.connected).toBe(true);
    server.say(nonsense);
    await server.until(() => server.connections.length === 2);
    expect(told.map(([event]) => event)).toEqual(["connect", "disconnect"]);
    socket.disconnect();
  }
  await using server = await startServer();
  const { socket, told } = socketTo(server.origin);
  const gone = createDeferred<unknown>();
  socket.on("disconnect", gone.resolve);
  socket.connect();
  await server.until(() => server.connections.length === 1);
  server.say(`0${JSON.stringify({ sid: "x", pingInterval: 20, pingTimeout: 20 })}`);
  server.say(WELCOME);
  await gone.promise;
  expect(told.map(([event]) => event)).toEqual(["connect", "disconnect"]);
  socket.disconnect();
});

test("[BU9] a websocket that the browser refuses to make is a failed try, not an error of whoever connects", async () => {
  await using server = await startServer();
  const { socket, told } = socketTo(server.origin);
  const refuse = () => {
    throw new DOMException("from https:// to ws://", "SecurityError");
  };
  vi.stubGlobal("WebSocket", refuse);
  try {
    socket.connect();
    expect(told.map(([event]) => event)).toEqual(["connect_error"]);
    expect([socket.active, socket.connected]).toEqual([true, false]);
    await expect.poll(() => told.length).toBeGreaterThan(1);
  } finally {
    vi.stubGlobal("WebSocket", WebSocket);
  }
  await server.until(() => server.connections.length === 1);
  socket.disconnect();
});
