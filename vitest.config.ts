import { availableParallelism } from "node:os";

import { defineConfig } from "vitest/config";

import { findChromium } from "./chromium.mjs";

/** Workspace packages are read from source, so that tests need no build. */
const source = {
  resolve: { conditions: ["@tributary/source"] },
  ssr: { resolve: { conditions: ["@tributary/source"] } },
};

export default defineConfig({
  test: {
    // Tests wait more than they work: by default one core would stay idle.
    maxWorkers: availableParallelism(),
    projects: [
      {
        ...source,
        test: {
          name: "unit",
          include: [
            "{protocol,coordinator,client-sdk}/src/**/*.test.ts",
            "coordinator/dashboard/src/**/*.test.ts",
            "examples/*/src/**/*.test.ts",
          ],
          testTimeout: 20_000,
        },
      },
      {
        ...source,
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          exclude: ["test/dist/**", "test/browser/**"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...source,
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          globalSetup: "test/browser/build-pages.ts",
          // Alone and one file at a time: a browser has processes enough for all cores.
          fileParallelism: false,
          // One process for all of them: what they import (TF.js) takes longer than some tests.
          isolate: false,
          sequence: { groupOrder: 1 },
          ...(findChromium() === undefined ? { runner: "test/browser/skipping-runner.ts" } : {}),
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
