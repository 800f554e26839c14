/**
 * Builds the entries for browsers into `dist/web`: plain ES modules that a page can import by their URL, and
 * what the `browser` condition of package.json leads bundlers to.
 */

import { join } from "node:path";

import { defineConfig, type Plugin } from "vite";

const ENTRIES = [".", "tfjs", "browser", "worker", "react"];

/**
 * The SDK sends and takes text over a websocket and nothing else, while socket.io-client brings polling,
 * WebTransport, binary messages, namespaces and buffers along. In a page a module of ours speaks its protocol.
 */
function textOverWebsockets(): Plugin {
  let isReplaced = false;
  return {
    name: "text-over-websockets",
    enforce: "pre",
    resolveId(id) {
      if (id !== "socket.io-client") return null;
      isReplaced = true;
      return join(import.meta.dirname, "src/text-socket.ts");
    },
    buildEnd(error) {
      if (error === undefined && !isReplaced) this.error("nothing imports socket.io-client");
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
  plugins: [textOverWebsockets()],
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
