import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";

import { expect, test } from "vitest";

import { forgetHandshake, makeLean, upgradeLeanly } from "./lean.ts";

test("[MC1] of the upgrade only listeners with a name stay on the socket, and those that were there before", () => {
  const socket = new PassThrough();
  const heard: string[] = [];
  socket.once("close", () => void heard.push("before"));
  upgradeLeanly(socket, () => {
    socket.once("close", () => void heard.push("the response of engine.io"));
    socket.on("close", function socketOnClose() {
      heard.push("ws");
    });
  });
  socket.emit("close");
  expect(heard).toEqual(["before", "ws"]);
});

test("[MC1] an admitted connection forgets headers and credentials and can still be cut", () => {
  let cut = false;
  const bare = { destroy: () => void (cut = true) };
  const request = { socket: bare, headers: { cookie: "x" }, rawHeaders: ["cookie", "x"] };
  const socket = { conn: { request }, handshake: { auth: { clientKey: "secret" } } };
  forgetHandshake(socket);
  expect(JSON.stringify([socket.conn.request.headers, socket.handshake])).not.toMatch(
    /secret|cookie/,
  );
  socket.conn.request.socket.destroy();
  expect(cut).toBe(true);
});

/** As much of an admitted connection as is looked at, with an emitter for each of its parts. */
function connection() {
  const bare = new EventEmitter();
  const webSocket = new EventEmitter();
  const transport = Object.assign(new EventEmitter(), { socket: webSocket });
  const conn = Object.assign(new EventEmitter(), {
    ...{ transport, request: { socket: bare }, cleanupFn: [() => undefined] },
  });
  const decoder = { _callbacks: { $decoded: [() => undefined] } };
  const admitted = Object.assign(new EventEmitter(), {
    ...{ conn, client: { decoder }, fns: [() => undefined], acks: new Map() },
  });
  return { admitted, conn, decoder, emitters: [admitted, conn, transport, webSocket, bare] };
}

test("[MC3] whatever listens to a connection hears the same once it is lean, in order, once or always, and can stop", () => {
  const { admitted, emitters } = connection();
  const heard: string[] = [];
  const hear = (what: string) => () => void heard.push(what);
  const stops = hear("stops");
  for (const emitter of emitters) {
    emitter.on("close", hear("first")).once("close", hear("once"));
    emitter.on("close", stops).on("drain", hear("drain"));
  }
  makeLean(admitted);
  for (const emitter of emitters) {
    // No event is there by inheritance.
    for (const name of ["constructor", "toString", "__proto__"]) {
      expect(emitter.emit(name)).toBe(false);
    }
    emitter.emit("close");
    emitter.off("close", stops);
    emitter.emit("close");
    emitter.emit("drain");
    expect(heard.splice(0)).toEqual(["first", "once", "stops", "first", "drain"]);
    expect(emitter.eventNames()).toEqual(["close", "drain"]);
    emitter.removeAllListeners();
    expect(emitter.emit("close")).toBe(false);
  }
});

test("[MC3] what another version has elsewhere is left as it is", () => {
  for (const admitted of [
    {},
    { conn: undefined, client: null },
    { conn: { transport: 1, cleanupFn: {}, request: null }, fns: "x", acks: {} },
    { _events: [], conn: { _events: 5, transport: { _events: null, socket: {} } } },
    { client: { decoder: { _callbacks: { $decoded: 1 } } } },
  ]) {
    const before = structuredClone(admitted);
    makeLean(admitted);
    expect(admitted).toEqual(before);
  }
  const waiting = new Map([[1, () => undefined]]);
  const asks = { acks: waiting };
  makeLean(asks);
  expect(asks.acks).toBe(waiting);
});

test("[MC3] of the upgrade goes the listener for its faults, but never the last one", () => {
  const { admitted, emitters } = connection();
  const [, , , webSocket] = emitters;
  function onUpgradeError() {}
  webSocket!.on("error", onUpgradeError);
  makeLean(admitted);
  expect(webSocket!.listeners("error")).toEqual([onUpgradeError]);
  const onError = () => undefined;
  webSocket!.on("error", onError);
  makeLean(admitted);
  expect(webSocket!.listeners("error")).toEqual([onError]);
});

test("[MC3] a timer that still runs stays, one that has ended goes", () => {
  const { admitted, conn } = connection();
  const { socket: bare } = conn.request;
  const timeout = Symbol("timeout");
  const other = Symbol("other");
  const timer = setTimeout(() => undefined, 60_000);
  const parts = Object.assign(bare, { [timeout]: timer, [other]: timer });
  makeLean(admitted);
  expect(parts[timeout]).toBe(timer);
  clearTimeout(timer);
  makeLean(admitted);
  expect(parts[timeout]).toBeNull();
  expect(parts[other]).toBe(timer);
});
