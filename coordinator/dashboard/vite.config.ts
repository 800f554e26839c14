/** Builds the dashboard into plain files that the coordinator serves under `/dashboard`. */

import { env } from "node:process";

import { defineConfig } from "vite";

/** While working on the page: the coordinator that it looks at. */
const target = env.TRIBUTARY_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  root: import.meta.dirname,
  base: "/dashboard/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
  server: { proxy: { "^/(v1|livez|readyz)": { target } } },
  build: {
    outDir: "../dist/dashboard",
    emptyOutDir: true,
    // The page's policy takes no scripts or styles from data: and none in the page itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
