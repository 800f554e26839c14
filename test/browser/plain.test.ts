/** A page that no bundler has seen: it imports the SDK's built entries by URL. Needs built packages. */

import { fileURLToPath } from "node:url";

import type { TaskId } from "@tributary/protocol";
import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startPageServer } from "../support/page-server.ts";

const browser = shareBrowser();
const WEB = fileURLToPath(new URL("../../client-sdk/dist/web/", import.meta.url));

const HTML = `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">
<title>plain</title><script type="module" src="/app.js"></script></html>`;
const APP = `
import { createClient } from "/sdk/index.js";
import { openDevice } from "/sdk/browser.js";
import { connectWorker } from "/sdk/worker.js";
import { createTfjsTrainer } from "/sdk/tfjs.js";

const device = await openDevice();
await device.consent.grant();
const url = new URLSearchParams(location.search).get("url");
const client = createClient({ ...device.clientOptions, url });
const worker = new Worker("/app-worker.js", { type: "module" });
const { trainer } = connectWorker(worker, { setup: { step: 3 } });
const end = await client.join("small", { trainer, conditions: device.conditions() }).done;
await client.close();
await tributaryTell("ended", { ...end, tfjs: typeof createTfjsTrainer });`;
const WORKER = `
import { serveWorker } from "/sdk/worker.js";

serveWorker({
  trainer: ({ step }) => ({
    train: async ({ weights }) => ({
      weights: weights.map((weight) => weight + step),
      numExamples: 1,
      metrics: {},
    }),
  }),
});`;

test("[RB23] a page without a bundler imports the SDK by URL and trains in a Worker, under a policy without eval", async () => {
  let connect = "";
  await using server = await startPageServer({
    headers: () => ({
      "content-security-policy": `default-src 'none'; script-src 'self'; worker-src 'self'; img-src data:; connect-src ${connect}`,
    }),
    folders: { "/sdk/": WEB },
    files: { "/plain": HTML, "/app.js": APP, "/app-worker.js": WORKER },
  });
  await using running = await startCoordinator({
    config: { server: { allowedOrigins: [server.origin] } },
  });
  const { coordinator, url } = running;
  await coordinator.tasks.create(
    smallTask({ stop: { maxRounds: 2 }, schedule: { minClients: 1, minReports: 1 } }),
  );
  connect = `${url} ${url.replace("http", "ws")}`;
  await using profile = await browser.newProfile();
  const page = await profile.open(server, `plain?url=${encodeURIComponent(url)}`);
  expect(await page.until("ended")).toEqual({
    ...{ reason: "taskEnded", endReason: "maxRoundsReached" },
    tfjs: "function",
  });
  const { modelVersion } = await coordinator.models.get("small" as TaskId, "latest");
  expect(modelVersion).toBe(2);
  expect(server.requests.filter((path) => path.startsWith("/sdk/")).length).toBeGreaterThan(3);
});
