/** Bytes on a bare connection, and what comes back: for requests that no HTTP client would send. */

import { connect } from "node:net";
import type { Socket } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends the text as it is; resolves when the other end has closed, or after the head of an upgrade. */
export function exchange(socket: Socket, text: string, timeoutMs = 10_000): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    let received = "";
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer in ${timeoutMs} ms: ${received.slice(0, 500)}`));
    }, timeoutMs);
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parse(received));
    };
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      received += chunk;
      if (/^HTTP\/1\.1 101 [^]*\r\n\r\n/.test(received)) finish();
    });
    socket.once("close", finish);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.write(text);
  });
}

/** `exchange` on a new plain connection to the url's host. */
export function exchangePlain(url: string, text: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return exchange(connect(Number(port), hostname), text);
}

function parse(text: string): RawAnswer {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return {
    status: Number(statusLine.split(" ")[1]),
    headers: Object.fromEntries(headers),
    body: rest.join("\r\n\r\n"),
  };
}

/** A WebSocket handshake as a browser or socket.io's client sends it, with changes. */
export function handshake(
  url: string,
  changes: {
    readonly path?: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string | undefined>>;
  } = {},
): string {
  const headers: Record<string, string | undefined> = {
    host: new URL(url).host,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...changes.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\r\n`],
  );
  const path = changes.path ?? "/v1/socket/?EIO=4&transport=websocket";
  return `${changes.method ?? "GET"} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}
