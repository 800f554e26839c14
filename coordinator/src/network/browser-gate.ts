/** Which web pages may use the coordinator: what the browser itself says of them, in Host and Origin. */

import { FederatedError } from "@tributary/protocol";

import type { RequestHead } from "../ports.ts";
import { isLoopback } from "../config/schema.ts";

export interface BrowserGateOptions {
  readonly host: string;
  readonly trustedProxy: boolean;
  /** The coordinator itself speaks TLS. */
  readonly tls: boolean;
  readonly allowedOrigins: readonly string[];
}

export interface BrowserGate {
  hostFault(request: RequestHead): FederatedError | undefined;
  originFault(request: RequestHead): FederatedError | undefined;
}

export function createBrowserGate(options: BrowserGateOptions): BrowserGate {
  const { host, trustedProxy, tls } = options;
  const allowedOrigins = new Set(options.allowedOrigins);
  // A page whose own name is made to resolve to 127.0.0.1 is same-origin with whatever listens there
  // (DNS rebinding); only the name gives it away. Elsewhere tokens are asked for, which such a page does
  // not have; with TLS its name is not in the certificate; behind a proxy the names are the proxy's.
  const checksHost = isLoopback(host) && !tls && !trustedProxy;

  /** The origin under which the request's own address would be a page; several where a proxy may add TLS. */
  function ownOrigins({ headers }: RequestHead): string[] {
    const names = [headers.host, ...(trustedProxy ? [headers["x-forwarded-host"]] : [])];
    const schemes = trustedProxy ? ["http", "https"] : [tls ? "https" : "http"];
    return names.flatMap((name) =>
      typeof name === "string" ? schemes.map((scheme) => originOf(`${scheme}://${name}`)) : [],
    );
  }

  return {
    hostFault: ({ headers }) => {
      const asked = headers.host;
      if (!checksHost || typeof asked !== "string") return undefined;
      const [, name = ""] = /^(\[[\da-f:.]+\]|[^:]+)(?::\d+)?$/i.exec(asked) ?? [];
      if (isLoopback(name.toLowerCase().replace(/^\[|\]$/g, ""))) return undefined;
      return new FederatedError(
        "FORBIDDEN",
        `the Host is ${show(asked)}, while this coordinator listens on ${host} for this machine only: ` +
          `use the address it listens on, or set server.trustedProxy where a proxy is in front`,
      );
    },
    originFault: (request) => {
      const { origin } = request.headers;
      // Browsers always send it with a WebSocket; what sends none is no web page.
      if (origin === undefined) return undefined;
      if (typeof origin === "string") {
        if (allowedOrigins.has(origin)) return undefined;
        if (origin !== "null" && ownOrigins(request).includes(origin)) return undefined;
      }
      return new FederatedError(
        "FORBIDDEN",
        `pages of ${show(origin)} may not use this coordinator: server.allowedOrigins would have to name it`,
      );
    },
  };
}

const originOf = (url: string): string => (URL.canParse(url) ? new URL(url).origin : "null");
const show = (value: string | string[]): string => JSON.stringify(String(value).slice(0, 80));
