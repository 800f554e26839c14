/**
 * The program of those who send in the sections ingest and loop: a process of its own, so that what it costs to send
 * is no part of what it costs to receive. Told by messages of its parent, one batch at a time.
 */

import { once } from "node:events";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Agent, request as httpRequest } from "node:http";

import { WebSocket } from "ws";

/** Bodies to be sent, each once, over so many connections at a time. */
export interface Batch {
  /** http: or ws: of the server. */
  readonly url: string;
  readonly connections: number;
  readonly uploads: readonly Upload[];
}

export interface Upload {
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  /** Which of the bodies that the parent gave before. */
  readonly body: string;
}

export type ToSenders =
  | { readonly type: "body"; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: "batch"; readonly batch: Batch };

export type FromSenders =
  | { readonly type: "ready" }
  | { readonly type: "sent"; readonly wallMs: number }
  | { readonly type: "failed"; readonly message: string };

const bodies = new Map<string, Buffer>();

async function sendAll({ url, connections, uploads }: Batch): Promise<void> {
  const queue = [...uploads];
  const send = url.startsWith("ws:") ? await socketsOf(url, connections) : requestsOf(url);
  const lane = async (index: number) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await send(next, index);
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => lane(index)));
  // A server closes what is idle for some seconds, perhaps just when the next batch begins.
  agent.destroy();
}

const agent = new Agent({ keepAlive: true });

const requestsOf =
  (url: string) =>
  async ({ path, headers, body }: Upload): Promise<void> => {
    const bytes = bodyOf(body);
    const request = httpRequest(new URL(path, url), {
      agent,
      method: "PUT",
      headers: { ...headers, "content-length": bytes.length },
    });
    request.end(bytes);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${text}`);
  };

const sockets = new Map<string, WebSocket[]>();

async function socketsOf(url: string, count: number) {
  const open = sockets.get(url) ?? [];
  sockets.set(url, open);
  while (open.length < count) {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await once(socket, "open");
    open.push(socket);
  }
  return async ({ body }: Upload, index: number): Promise<void> => {
    const socket = open[index] as WebSocket;
    const answered = once(socket, "message");
    // Without a mask it would be no client's message; ws masks a copy.
    socket.send(bodyOf(body));
    await answered;
  };
}

function bodyOf(name: string): Buffer {
  const bytes = bodies.get(name);
  if (bytes === undefined) throw new Error(`no body ${name}`);
  return bytes;
}

const tell = (message: FromSenders) => process.send?.(message);

process.on("message", (message: ToSenders) => {
  if (message.type === "body") {
    bodies.set(message.name, Buffer.from(message.bytes));
    tell({ type: "ready" });
    return;
  }
  const start = performance.now();
  sendAll(message.batch).then(
    () => tell({ type: "sent", wallMs: performance.now() - start }),
    (error: unknown) => tell({ type: "failed", message: String(error) }),
  );
});
process.on("disconnect", () => process.exit());
