/** What the listener knows of who asks, in one object for HTTP and for sockets. */

import type { Config } from "../config/schema.ts";
import type { Edge } from "../ports.ts";
import { createBrowserGate } from "./browser-gate.ts";
import { answerRaw } from "./raw-answer.ts";
import { securityHeaders } from "./security-headers.ts";

export function createEdge(server: Config["server"]): Edge {
  const { host, trustedProxy, allowedOrigins } = server;
  const headers = securityHeaders({ strictTransport: false });
  return {
    headers,
    allowedOrigins,
    ...createBrowserGate({ host, trustedProxy, tls: false, allowedOrigins }),
    refuse: (socket, error) => answerRaw(socket, error, headers),
  };
}
