/** Builds the benchmark's page as an app is built, weighs it, and serves it. */

import { readFile, readdir, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "vite";

const PAGES = fileURLToPath(new URL("pages/", import.meta.url));
const WASM = join(
  dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json")),
  "dist",
);
/** What browsers with SIMD, so all of today's, load of the backend. */
const WASM_FILE = "tfjs-backend-wasm-simd.wasm";

/** As strict as training allows: WebAssembly, and no code from text. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src data:; connect-src *";

export interface Sizes {
  readonly scripts: readonly { name: string; bytes: number; gzipBytes: number }[];
  readonly wasm: { name: string; bytes: number; gzipBytes: number };
}

/** Into `outDir`, with the SDK's built packages. */
export async function buildSite(outDir: string): Promise<void> {
  await build({
    root: PAGES,
    configFile: false,
    logLevel: "error",
    worker: { format: "es" },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      reportCompressedSize: false,
      modulePreload: false,
      chunkSizeWarningLimit: Infinity,
      rolldownOptions: {
        input: join(PAGES, "bench.ts"),
        output: { entryFileNames: "[name].js" },
      },
    },
  });
}

export async function weighSite(outDir: string): Promise<Sizes> {
  const names = (await readdir(outDir, { recursive: true })).filter((name) => name.endsWith(".js"));
  const weigh = async (name: string, folder: string) => {
    const bytes = await readFile(join(folder, name));
    return { name, bytes: bytes.length, gzipBytes: gzipSync(bytes, { level: 9 }).length };
  };
  return {
    scripts: await Promise.all(names.sort().map((name) => weigh(name, outDir))),
    wasm: await weigh(WASM_FILE, WASM),
  };
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};
const HTML =
  '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">' +
  '<title>Benchmark</title><script type="module" src="/bench.js"></script></html>';

export interface Site extends AsyncDisposable {
  readonly origin: string;
}

export async function serveSite(outDir: string): Promise<Site> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    const file = path.startsWith("/wasm/")
      ? join(WASM, path.slice("/wasm/".length))
      : join(outDir, path);
    const answer = async () => {
      const isFile = path !== "/" && (await stat(file)).isFile();
      const headers = {
        "content-type": isFile ? (TYPES[extname(path)] ?? "text/plain") : "text/html",
        "content-security-policy": POLICY,
      };
      response.writeHead(200, headers).end(isFile ? await readFile(file) : HTML);
    };
    answer().catch(() => response.writeHead(404).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
