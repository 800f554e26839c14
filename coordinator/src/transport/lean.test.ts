import { PassThrough } from "node:stream";

import { expect, test } from "vitest";

import { forgetHandshake, upgradeLeanly } from "./lean.ts";

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
