/** A web site for tests, on an origin of its own: the built pages, TF.js's wasm files, and what a test adds. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";

import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder of the pages that Vite built for this run. */
    builtPages: string;
  }
}

const MIME: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

export interface PageServerOptions {
  /** Sent with every file, for a page's policies: `content-security-policy`, `cross-origin-opener-policy`, … */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);
  /** Folders by the path they are served under, beside the built pages and `/wasm/`. */
  readonly folders?: Readonly<Record<`/${string}/`, string>>;
  /** Texts of single files by their path, e.g. `/plain.html`. */
  readonly files?: Readonly<Record<`/${string}`, string>>;
}

export interface PageServer extends AsyncDisposable {
  readonly origin: string;
  /** Where `name.page.ts` runs. */
  url(name: string): string;
  /** Paths that were asked for, in order. */
  readonly requests: readonly string[];
}

/** A page has one script and no line of its own, so that the strictest policy lets it through. */
const htmlOf = (name: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">` +
  `<title>${name}</title><script type="module" src="/${name}.js"></script></html>`;

export async function startPageServer(options: PageServerOptions = {}): Promise<PageServer> {
  const { headers = {}, files = {} } = options;
  const wasm = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
  const folders: Readonly<Record<string, string>> = {
    ...options.folders,
    "/wasm/": join(dirname(wasm), "dist"),
    "/": inject("builtPages"),
  };
  const requests: string[] = [];

  const bodyOf = async (path: string): Promise<{ type: string; body: string | Buffer }> => {
    const type = MIME[extname(path)] ?? "text/html; charset=utf-8";
    const text = (files as Readonly<Record<string, string>>)[path];
    if (text !== undefined) return { type, body: text };
    if (extname(path) === "") return { type, body: htmlOf(path.slice(1)) };
    const [prefix, folder] = Object.entries(folders).find(([start]) => path.startsWith(start))!;
    return { type, body: await readFile(join(folder, normalize(path.slice(prefix.length - 1)))) };
  };

  const server = createServer((request, response) => {
    const path = decodeURI(new URL(request.url ?? "/", "http://localhost").pathname);
    requests.push(path);
    bodyOf(path).then(
      ({ type, body }) => {
        const chosen = typeof headers === "function" ? headers() : headers;
        response.writeHead(200, { "content-type": type, "cache-control": "no-store", ...chosen });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    url: (name) => `${origin}/${name}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
