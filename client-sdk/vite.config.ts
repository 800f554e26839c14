/**
 * Builds the entries for browsers into `dist/web`: plain ES modules that a page can import by their URL, and
 * what the `browser` condition of package.json leads bundlers to.
 */

import { defineConfig, type Plugin } from "vite";

const ENTRIES = [".", "tfjs", "browser", "worker", "react"];

/**
 * The SDK sends and takes text over a websocket and nothing else, while socket.io-client brings polling,
 * WebTransport, binary messages and base64 along. What stands in for these files is what is left of them; a
 * binary frame is an error, as any other frame that cannot be read.
 */
const TEXT_OVER_WEBSOCKETS: Readonly<Record<string, string>> = {
  "socket.io-client/build/esm/index.js": `
    import { Manager } from "./manager.js";
    export const io = (origin, options) => new Manager(origin, options).socket("/", options);`,
  "socket.io-parser/build/esm/is-binary.js": `
    export const isBinary = () => false;
    export const hasBinary = () => false;`,
  "socket.io-parser/build/esm/binary.js": `
    export const deconstructPacket = undefined;
    export const reconstructPacket = undefined;`,
  "engine.io-client/build/esm/index.js": `
    export { Socket } from "./socket.js";
    export { installTimerFunctions } from "./util.js";
    export { nextTick } from "./globals.js";`,
  "engine.io-client/build/esm/globals.js": `
    export const nextTick = (callback) => Promise.resolve().then(callback);
    export const globalThisShim = globalThis;
    export const defaultBinaryType = "arraybuffer";
    export function createCookieJar() {}`,
  "engine.io-client/build/esm/transports/index.js": `
    import { WS } from "./websocket.js";
    export const transports = { websocket: WS };`,
  "engine.io-parser/build/esm/index.js": `
    const TYPES = ["open", "close", "ping", "pong", "message", "upgrade", "noop"];
    export const protocol = 4;
    export const encodePacket = ({ type, data }, _, send) => send(TYPES.indexOf(type) + (data ?? ""));
    export const decodePacket = (frame) => {
      const type = typeof frame === "string" ? TYPES[frame[0]] : undefined;
      if (type === undefined) return { type: "error", data: "parser error" };
      return frame.length > 1 ? { type, data: frame.slice(1) } : { type };
    };`,
};

function textOverWebsockets(): Plugin {
  const replaced = new Set<string>();
  return {
    name: "text-over-websockets",
    load(id) {
      const name = Object.keys(TEXT_OVER_WEBSOCKETS).find((path) =>
        id.endsWith(`node_modules/${path}`),
      );
      if (name === undefined) return null;
      replaced.add(name);
      return TEXT_OVER_WEBSOCKETS[name];
    },
    buildEnd(error) {
      // A newer socket.io-client with other files would silently be whole again.
      const missed = Object.keys(TEXT_OVER_WEBSOCKETS).filter((path) => !replaced.has(path));
      if (error === undefined && missed.length > 0)
        this.error(`not replaced: ${missed.join(", ")}`);
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
            { name: "socket.io", test: /node_modules.*(socket|engine)\.io/ },
            { name: "shared", test: /src\/(errors|delay|deferred|breather|once)\.ts$/ },
          ],
        },
      },
    },
  },
});
