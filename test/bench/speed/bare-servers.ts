/** What ingest is compared with: the least that node can do with a body, and a sum over bare WebSockets. */

import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";

import { WebSocketServer } from "ws";

export interface BareServer extends AsyncDisposable {
  readonly url: string;
}

/** Reads every body, keeps nothing of it and answers. */
export async function startDiscard(): Promise<BareServer> {
  const server = createServer((request, response) => {
    request.on("data", () => {});
    request.on("end", () => response.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

export interface DistantServer extends BareServer {
  /** CPU time that its process has taken so far. */
  cpuMs(): Promise<number>;
}

/** Adds every message, a vector of float32, to a sum in float64, unchecked and unclipped, and answers. */
export async function startSocketSum(parameterCount: number): Promise<BareServer> {
  const sum = new Float64Array(parameterCount);
  const sockets = new WebSocketServer({
    ...{ host: "127.0.0.1", port: 0 },
    perMessageDeflate: false,
    maxPayload: 4 * parameterCount + 1024,
  });
  sockets.on("connection", (socket) => {
    socket.on("message", (message: Buffer) => {
      // It may begin anywhere in memory.
      const isAligned = message.byteOffset % 4 === 0;
      const { buffer, byteOffset } = isAligned ? message : Uint8Array.from(message);
      const vector = new Float32Array(buffer, byteOffset, parameterCount);
      for (let i = 0; i < vector.length; i++) sum[i] = (sum[i] as number) + (vector[i] as number);
      socket.send("ok");
    });
  });
  await once(sockets, "listening");
  return {
    url: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await once(sockets, "close");
    },
  };
}

/** One of them in a process of its own. */
export async function startApart(
  ...[kind, parameterCount]: ["discard"] | ["socketSum", number]
): Promise<DistantServer> {
  const program = fileURLToPath(new URL("./bare-process.ts", import.meta.url));
  const child = fork(program, [kind, String(parameterCount)]);
  const [url] = (await once(child, "message")) as [string];
  return {
    url,
    cpuMs: async () => {
      child.send("cpu");
      const [{ user, system }] = (await once(child, "message")) as [NodeJS.CpuUsage];
      return (user + system) / 1000;
    },
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}
