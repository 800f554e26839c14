/** What the listener knows of who asks, in one object for HTTP and for sockets. */

import type { Config } from "../config/schema.ts";
import { isLoopback } from "../config/schema.ts";
import type { Edge } from "../ports.ts";
import { createBrowserGate } from "./browser-gate.ts";
import { answerRaw } from "./raw-answer.ts";
import { securityHeaders } from "./security-headers.ts";

export function createEdge(server: Config["server"]): Edge {
  const { host, trustedProxy, allowedOrigins } = server;
  const tls = server.tls.certificateFile !== undefined;
  // Not for loopback: browsers remember names and not ports, and "localhost" is everybody's.
  const headers = securityHeaders({ strictTransport: tls && !isLoopback(host) });
  return {
    headers,
    allowedOrigins,
    ...createBrowserGate({ host, trustedProxy, tls, allowedOrigins }),
    refuse: (socket, error) => answerRaw(socket, error, headers),
  };
}
