/** Builds the dashboard into plain files that the coordinator serves under `/dashboard`. */

import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "/dashboard/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
  build: {
    outDir: "../dist/dashboard",
    emptyOutDir: true,
    // The page's policy takes no scripts or styles from data: and none in the page itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
