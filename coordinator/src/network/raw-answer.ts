/** An answer on a bare connection: refused upgrades, and requests that are no HTTP. */

import { STATUS_CODES } from "node:http";

import type { FederatedError } from "@tributary/protocol";

import type { RawSocket } from "../ports.ts";

/** The other end has so long to take the answer and close. */
const LINGER_MS = 1000;

/** Answers with the fault and ends the connection, whatever the other end does. */
export function answerRaw(
  socket: RawSocket,
  error: FederatedError,
  headers: Readonly<Record<string, string>>,
): void {
  // The other end may be gone already; nobody else listens on this socket any more.
  socket.on("error", () => {});
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(error.toProblem());
  const head = {
    ...headers,
    "cache-control": "no-store",
    connection: "close",
    "content-type": "application/problem+json; charset=utf-8",
    "content-length": String(Buffer.byteLength(body)),
    ...(error.retryAfterMs === undefined
      ? {}
      : { "retry-after": String(Math.ceil(error.retryAfterMs / 1000)) }),
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `${error.status} ${STATUS_CODES[error.status] ?? "Refused"}`;
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
