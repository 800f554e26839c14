/** Serves the built page from an origin of its own, under a policy that lets it talk to the coordinator only. */

import fastifyStatic from "@fastify/static";
import Fastify from "fastify";

/** What the page has to know; it asks for `config.json`. */
export interface PageConfig {
  readonly coordinatorUrl: string;
  readonly taskId: string;
  /** The coordinator's signing key: whoever serves the page says whose models it may use. */
  readonly publicKey: string;
}

export interface PageServer {
  readonly port: number;
  /** Origins under which a browser on this machine may show the page. */
  readonly origins: readonly string[];
  /** Until then the page is there, and its configuration is not. */
  open(config: PageConfig): void;
  close(): Promise<void>;
}

/**
 * What the page may do. Its scripts are files of its own, WebAssembly may be compiled, and the only other
 * address is the coordinator's. Nothing inline, no `eval`, nobody else's.
 */
export function pagePolicy(coordinatorUrl: string | undefined): string {
  const coordinator =
    coordinatorUrl === undefined
      ? ""
      : ` ${coordinatorUrl} ${coordinatorUrl.replace(/^http/, "ws")}`;
  return [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self'${coordinator}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** @param directory the built page @throws Error when the port is taken */
export async function startPageServer(directory: string, port: number): Promise<PageServer> {
  let config: PageConfig | undefined;
  const app = Fastify({ forceCloseConnections: true });
  app.addHook("onSend", async (_, reply) => {
    reply.headers({
      "content-security-policy": pagePolicy(config?.coordinatorUrl),
      "cross-origin-opener-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
  });
  app.get("/config.json", async (_, reply) => {
    reply.header("cache-control", "no-store");
    if (config !== undefined) return config;
    return reply.code(503).header("retry-after", "1").send({});
  });
  await app.register(fastifyStatic, { root: directory, cacheControl: false });
  await app.listen({ host: "127.0.0.1", port });
  const address = app.server.address();
  const own = typeof address === "object" ? (address?.port ?? port) : port;
  return {
    port: own,
    origins: [`http://127.0.0.1:${own}`, `http://localhost:${own}`],
    open: (given) => {
      config = given;
    },
    close: () => app.close(),
  };
}
