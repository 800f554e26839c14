/** A coordinator as its users run it: `tributary start` as a process of its own, and how it came to its end. */

import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../coordinator/dist/cli/main.js", repositoryTests()));

/** `test/`, from its source and from its build. */
function repositoryTests(): URL {
  const here = new URL("../../", import.meta.url);
  return here.pathname.endsWith("/dist/") ? new URL("../", here) : here;
}

/** A module of this folder's build that a process can load before anything else. */
export const builtModule = (path: string): string =>
  new URL(`dist/chaos/${path}.js`, repositoryTests()).href;

export interface ServerOptions {
  readonly port: number;
  readonly directory: string;
  readonly configFile?: string;
  /** Settings by path, `timing.shutdownGraceMs`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Modules of this folder's build that are loaded before the coordinator. */
  readonly preload?: readonly string[];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ServerProcess extends AsyncDisposable {
  readonly url: string;
  readonly child: ChildProcess;
  /** Resolves when the process is gone, however that came. */
  readonly exit: Promise<Exit>;
  /** Everything it wrote to stderr. */
  readonly log: () => string;
  /** Milliseconds from the start until `/readyz` said yes; undefined where it died before. */
  ready(timeoutMs?: number): Promise<number | undefined>;
  /** kill -9. */
  kill(): Promise<Exit>;
}

export const ADMIN_TOKEN = "an-admin-token-for-the-chaos-tests";

/** No process outlives this one, whatever becomes of it. */
const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export function startServer(options: ServerOptions): ServerProcess {
  const { port, directory, configFile, settings = {}, preload = [] } = options;
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...preload.flatMap((path) => ["--import", builtModule(path)]),
      ...[CLI, "start", "--port", String(port), "--data", directory],
      ...(configFile === undefined ? [] : ["--config", configFile]),
      ...Object.entries(settings).flatMap(([path, value]) => ["--set", `${path}=${value}`]),
    ],
    {
      env: {
        PATH: process.env.PATH,
        TRIBUTARY_AUTH_ADMIN_TOKEN: ADMIN_TOKEN,
        ...options.environment,
      },
      cwd: directory,
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  children.add(child);
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const exit = once(child, "close").then(([code, signal]) => {
    children.delete(child);
    return { code, signal };
  });
  const url = `http://127.0.0.1:${port}`;
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  const kill = async () => {
    if (!isGone()) child.kill("SIGKILL");
    return exit;
  };
  return {
    url,
    child,
    exit,
    log: () => log,
    ready: async (timeoutMs = 30_000) => {
      while (!isGone()) {
        const ready = await fetch(`${url}/readyz`).then(
          async (response) => (await response.arrayBuffer(), response.ok),
          () => false,
        );
        const elapsedMs = performance.now() - began;
        if (ready) return elapsedMs;
        if (elapsedMs > timeoutMs) throw new Error(`not ready after ${timeoutMs} ms: ${log}`);
        await pause(10);
      }
      return undefined;
    },
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
    },
  };
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A port that is free now and stays so while its coordinator is down: below those that the system deals
 * out by itself, from which even a client's own attempt to connect could take it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
