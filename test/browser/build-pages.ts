/** Before the tests in a browser: builds their pages with Vite, from source, once for the whole run. */

import { readdir, rm, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "vite";
import type { TestProject } from "vitest/node";

import { findChromium, HOW_TO_GET_CHROMIUM, isChromiumRequired } from "../../chromium.mjs";

const PAGES = fileURLToPath(new URL("pages/", import.meta.url));
const PAGE = /^(.+)\.page\.ts$/;

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (findChromium() === undefined) {
    if (isChromiumRequired()) throw new Error(`A Chromium is required: ${HOW_TO_GET_CHROMIUM}.`);
    process.stderr.write(
      `\nNo Chromium, so ALL TESTS IN A REAL BROWSER ARE SKIPPED: ${HOW_TO_GET_CHROMIUM}.\n\n`,
    );
    project.provide("builtPages", "");
    return async () => {};
  }
  const outDir = await mkdtemp(join(tmpdir(), "tributary-pages-"));
  const names = (await readdir(PAGES)).flatMap((file) => PAGE.exec(file)?.[1] ?? []);
  await build({
    root: PAGES,
    configFile: false,
    logLevel: "warn",
    resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
    worker: { format: "es" },
    build: {
      outDir,
      emptyOutDir: true,
      minify: false,
      target: "es2022",
      reportCompressedSize: false,
      modulePreload: { polyfill: false },
      // Strict policies take nothing from data: URLs.
      assetsInlineLimit: 0,
      chunkSizeWarningLimit: Infinity,
      rolldownOptions: {
        input: Object.fromEntries(names.map((name) => [name, join(PAGES, `${name}.page.ts`)])),
        output: { entryFileNames: "[name].js" },
        checks: { bundlerTimings: false },
      },
    },
  });
  project.provide("builtPages", outDir);
  return () => rm(outDir, { recursive: true, force: true });
}
