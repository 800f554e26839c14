/**
 * Builds the entries for browsers into `dist/web`: plain ES modules that a page can import by their URL, and
 * what the `browser` condition of package.json leads bundlers to.
 */

import { defineConfig } from "vite";

const ENTRIES = [".", "tfjs", "browser", "worker", "react"];

export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
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
