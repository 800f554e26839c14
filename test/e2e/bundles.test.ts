/** The entries for browsers as they are built: what they hold, what they weigh, and who is led to them. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { build } from "vite";
import { expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SDK = join(ROOT, "client-sdk");
const WEB = join(SDK, "dist/web");
const ENTRIES = ["index", "tfjs", "browser", "worker", "react"];
/** `.` imports nothing that a page would not find by URL. */
const IMPORTS = /(?:\bfrom|\bimport|\bimport\()\s*["'`]([^"'`]+)["'`]/g;

async function scripts(): Promise<{ name: string; code: string }[]> {
  const names = (await readdir(WEB, { recursive: true })).filter((name) => name.endsWith(".js"));
  return Promise.all(
    names.map(async (name) => ({ name, code: await readFile(join(WEB, name), "utf8") })),
  );
}

/** What a bundler makes of an app with this source. */
async function bundle(source: string): Promise<string> {
  const output = await build({
    root: join(ROOT, "test"),
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      modulePreload: false,
      rolldownOptions: { input: "the-app.js", external: ["react"] },
    },
    plugins: [
      {
        name: "the-app",
        resolveId: (id) => (id === "the-app.js" ? join(ROOT, "test/the-app.js") : null),
        load: (id) => (id.endsWith("/the-app.js") ? source : null),
      },
    ],
  });
  const chunks = [output].flat().flatMap((result) => ("output" in result ? result.output : []));
  return chunks.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("\n");
}

test("[BU1] a page can import every entry but `react` by its URL: no module is named without a path", async () => {
  const found = await scripts();
  expect(found.map(({ name }) => name)).toEqual(
    expect.arrayContaining(ENTRIES.map((entry) => `${entry}.js`)),
  );
  for (const { name, code } of found) {
    const bare = [...code.matchAll(IMPORTS)]
      .map(([, path]) => path!)
      .filter((path) => !/^\.\.?\//.test(path));
    expect({ name, bare }).toEqual({ name, bare: name === "react.js" ? ["react"] : [] });
  }
});

test("[BU2] nothing in them makes code from text", async () => {
  for (const { name, code } of await scripts()) {
    expect({ name, found: /\beval\s*\(|\bFunction\s*\(/.exec(code)?.[0] }).toEqual({ name });
  }
});

test("[BU3] every entry is within its limit of bytes, as `npm run size` says", async () => {
  const { stdout } = await run("npx", ["size-limit", "--json"], { cwd: ROOT }).catch(
    (failed: unknown) => failed as { stdout: string },
  );
  const results = JSON.parse(stdout) as { name: string; passed: boolean; size: number }[];
  expect(results.length).toBeGreaterThanOrEqual(ENTRIES.length);
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
});

test("[BU4] an app that opens no connection carries no socket, and one that does carries it once", async () => {
  const socket = /EIO|connect_error/;
  const cache = await bundle(
    `import { createMemoryCache } from "@tributary/client-sdk"; globalThis.cache = createMemoryCache();`,
  );
  expect(cache).toContain("getTrust");
  expect(cache).not.toMatch(socket);
  expect(cache.length).toBeLessThan(3_000);
  const error = await bundle(
    `import { FederatedError } from "@tributary/client-sdk"; globalThis.made = new FederatedError("NOT_FOUND", "?");`,
  );
  expect(error).not.toMatch(socket);
  expect(error.length).toBeLessThan(10_000);
  const client = await bundle(
    `import { createClient, isFederatedError } from "@tributary/client-sdk";
     import { connectWorker } from "@tributary/client-sdk/worker";
     Object.assign(globalThis, { createClient, isFederatedError, connectWorker });`,
  );
  expect(client.match(/EIO/g)).toHaveLength(1);
});

test("[BU5] importing an entry in Node, without a page, does nothing and holds nothing open", async () => {
  const entries = [".", "./tfjs", "./browser", "./worker", "./react", "./one-shot", "./node"];
  const imported = [
    ...entries.map((entry) => `@tributary/client-sdk${entry.slice(1)}`),
    ...ENTRIES.map((entry) => new URL(`file://${join(WEB, `${entry}.js`)}`).href),
  ];
  const before = "const before = new Set(Reflect.ownKeys(globalThis));";
  const script = `${before}
    for (const name of ${JSON.stringify(imported)}) await import(name);
    const made = Reflect.ownKeys(globalThis).filter((key) => !before.has(key));
    console.log(JSON.stringify({ open: process.getActiveResourcesInfo().filter((kind) => !/Pipe|TTY|Req/.test(kind)), made }));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], {
    cwd: join(ROOT, "test"),
    timeout: 60_000,
  });
  expect(JSON.parse(stdout)).toEqual({ open: [], made: [] });
});

test("[BU6] bundlers for browsers are led to these files, Node and bundlers for servers are not", async () => {
  const { exports } = JSON.parse(await readFile(join(SDK, "package.json"), "utf8")) as {
    exports: Record<string, Record<string, string>>;
  };
  for (const [entry, conditions] of Object.entries(exports)) {
    const { browser } = conditions;
    const forBrowsers = !["./node", "./testing", "./package.json"].includes(entry);
    expect({ entry, browser: browser !== undefined }).toEqual({ entry, browser: forBrowsers });
    if (browser === undefined) continue;
    expect(existsSync(join(SDK, browser))).toBe(true);
    const order = Object.keys(conditions);
    expect(order.indexOf("types")).toBeLessThan(order.indexOf("browser"));
    expect(order.at(-1)).toBe("default");
  }
  const script = `console.log(import.meta.resolve("@tributary/client-sdk/worker"))`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], {
    cwd: join(ROOT, "test"),
  });
  expect(stdout).toContain("/dist/worker/index.js");
});

test("[BU7] the licences of what is bundled lie beside it", async () => {
  const licences = await readFile(join(WEB, "licenses.md"), "utf8");
  const maps = (await readdir(WEB, { recursive: true })).filter((name) => name.endsWith(".js.map"));
  const bundled = new Set<string>();
  for (const name of maps) {
    const { sources } = JSON.parse(await readFile(join(WEB, name), "utf8")) as {
      sources: string[];
    };
    for (const source of sources) {
      const named = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
      if (named !== undefined) bundled.add(named);
    }
  }
  expect(bundled).toContain("idb");
  for (const name of bundled) expect(licences).toContain(`## ${name} - `);
});
