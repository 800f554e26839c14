/** Builds the page into plain files, which a strict policy lets through: nothing inline, nothing from `data:`. */

import { defineConfig } from "vite";

export default defineConfig({
  root: `${import.meta.dirname}/page`,
  base: "./",
  resolve: { conditions: ["@tributary/source", "module", "browser", "production"] },
  worker: { format: "es" },
  build: {
    outDir: "../dist/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // TensorFlow.js is most of it, and is loaded by the Worker alone.
    chunkSizeWarningLimit: 2_000,
  },
});
