/** Connections below HTTP: how many there may be, and how long one may take to ask for something. */

import type { Server } from "node:http";
import type { Socket } from "node:net";

import type { FastifyInstance } from "fastify";

import { addressKey } from "../limits/address.ts";
import { overLimit } from "../limits/limit.ts";
import { createPlaces } from "../limits/places.ts";
import type { HttpDeps } from "./deps.ts";

/** Connections of an address beyond its limit that are open for as long as it takes to tell them. */
const ROOM_FOR_REFUSALS = 64;
const RETRY_AFTER_MS = 5000;
/** Node looks for overdue connections so often: half as long as they may take, and not too often. */
const checkIntervalMs = (headersTimeoutMs: number) =>
  Math.min(5000, Math.max(100, Math.floor(headersTimeoutMs / 2)));

/** For `http.createServer`, which takes this at no later time. */
export const connectionOptions = (headersTimeoutMs: number) => ({
  connectionsCheckingInterval: checkIntervalMs(headersTimeoutMs),
});

export function limitConnections(
  app: FastifyInstance,
  { limits, peersAreDirect, metrics }: Pick<HttpDeps, "limits" | "peersAreDirect" | "metrics">,
): void {
  const { maxConnections, connectionsPerAddress, headersTimeoutMs } = limits;
  const server: Server = app.server;
  // Beyond it Node closes a connection as soon as it is there.
  server.maxConnections = maxConnections;
  server.on("drop", () => metrics.refused("maxConnections"));
  server.headersTimeout = headersTimeoutMs;
  server.on("clientError", (error: NodeJS.ErrnoException) => {
    if (error.code === "ERR_HTTP_REQUEST_TIMEOUT") metrics.refused("headersTimeoutMs");
  });
  // A proxy's connections are its own affair: behind it only sockets are counted by address.
  if (!peersAreDirect) return;

  const places = createPlaces(connectionsPerAddress + ROOM_FOR_REFUSALS);
  // By name: under TLS a request's socket is another object than the connection that was counted.
  const extra = new Set<string>();
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  server.on("connection", (socket) => {
    const key = addressKey(socket.remoteAddress ?? "unknown");
    const name = nameOf(socket);
    const release = places.take(key);
    if (release === undefined) {
      metrics.refused("connectionsPerAddress");
      socket.destroy();
      return;
    }
    if (places.taken(key) > connectionsPerAddress) extra.add(name);
    socket.once("close", () => {
      extra.delete(name);
      release();
    });
  });
  app.addHook("onRequest", async ({ raw }, reply) => {
    if (!extra.has(nameOf(raw.socket))) return;
    void reply.header("connection", "close");
    const message = `${connectionsPerAddress} connections of this address are open, as many as there may be`;
    throw overLimit("connectionsPerAddress", message, RETRY_AFTER_MS);
  });
}
