/**
 * Builds the entries for browsers into `dist/web`: plain ES modules that a page can import by their URL, and
 * what the `browser` condition of package.json leads bundlers to.
 */

import { defineConfig } from "vite";

const ENTRIES = [".", "tfjs", "browser", "worker", "react"];

const base = {
  root: import.meta.dirname,
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
};

const entries = defineConfig({
  ...base,
  build: {
    target: "es2022",
    outDir: "dist/web",
    emptyOutDir: true,
    sourcemap: true,
    license: { fileName: "licenses.md" },
    modulePreload: false,
    lib: {
      formats: ["es"],
      entry: Object.fromEntries(
        ENTRIES.map((entry) => [
          entry === "." ? "index" : entry,
          `src/${entry === "." ? "" : `${entry}/`}index.ts`,
        ]),
      ),
      fileName: (_format, name) => `${name}.js`,
    },
    rolldownOptions: {
      external: [/^react($|\/)/, /^@tensorflow\//],
      output: {
        chunkFileNames: "chunks/[name].js",
        minify: true,
        codeSplitting: {
          groups: [
            // Bundlers leave it out where nobody opens a connection.
            { name: "socket", test: /src\/text-socket\.ts$/ },
            { name: "shared", test: /src\/(errors|delay|deferred|breather|once)\.ts$/ },
          ],
        },
      },
    },
  },
});

/**
 * Alone and in one file, with what the others load when they need it: a service worker has no `import()`, and the
 * chunks of the others stay as large as they are.
 */
const oneShot = defineConfig({
  ...base,
  build: {
    target: "es2022",
    outDir: "dist/web",
    emptyOutDir: false,
    sourcemap: true,
    license: { fileName: "one-shot-licenses.md" },
    modulePreload: false,
    lib: {
      formats: ["es"],
      entry: "src/one-shot/index.ts",
      fileName: () => "one-shot.js",
    },
    rolldownOptions: { output: { codeSplitting: false, minify: true } },
  },
});

export default defineConfig(({ mode }) => (mode === "one-shot" ? oneShot : entries));
