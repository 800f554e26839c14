/** Closing within a bounded time: what comes in is refused, what is under way may finish, the rest is cut. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

import { FederatedError, routes } from "@tributary/protocol";
import type { FastifyInstance } from "fastify";

/** Requests under way have so long to finish. */
const GRACE_MS = 2000;

export function closeInBoundedTime(app: FastifyInstance): void {
  // Browsers open connections ahead of need. One without a request counts as busy to Node, and would
  // hold the close up for a minute.
  // By the peer's end: under TLS a request's socket is another object than the connection that was opened.
  const unused = new Map<string, Socket>();
  const endOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  const use = ({ socket }: IncomingMessage) => void unused.delete(endOf(socket));
  app.server.on("connection", (socket) => {
    const end = endOf(socket);
    unused.set(end, socket);
    socket.once("close", () => {
      if (unused.get(end) === socket) unused.delete(end);
    });
  });
  app.server.on("request", use).on("upgrade", use);

  let closing = false;
  let cut: NodeJS.Timeout | undefined;
  app.addHook("preClose", async () => {
    closing = true;
    for (const socket of unused.values()) socket.destroy();
    cut = setTimeout(() => app.server.closeAllConnections(), GRACE_MS);
    cut.unref();
  });
  app.addHook("onClose", async () => clearTimeout(cut));
  app.addHook("onRequest", async (request, reply) => {
    if (!closing || request.routeOptions.url === routes.livez.pattern) return;
    void reply.header("connection", "close");
    throw new FederatedError("UNAVAILABLE", "the coordinator is closing", { retryAfterMs: 5000 });
  });
}
