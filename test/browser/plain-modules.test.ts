/** A page that imports the built SDK by its URL, as somebody without a bundler does. */

import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startPageServer } from "../support/page-server.ts";

const browser = shareBrowser();
const WEB = fileURLToPath(new URL("../../client-sdk/dist/web/", import.meta.url));

const PAGE = `
import { createClient } from "/sdk/index.js";
import { connectWorker } from "/sdk/worker.js";
import { createTfjsTrainer } from "/sdk/tfjs.js";
import * as device from "/sdk/browser.js";

const worker = new Worker("/plain-worker.js", { type: "module" });
const { trainer } = connectWorker(worker, { setup: { step: 3 } });
window.tributaryTest = {
  join: async (url) => {
    const client = createClient({ url });
    const participant = client.join("small", { trainer });
    const closed = new Promise((resolve) => participant.on("closed", resolve));
    const { outcome, modelVersion } = await closed;
    await client.close();
    return { outcome, modelVersion, found: [typeof createTfjsTrainer, typeof device] };
  },
  refused: async (url) => {
    const client = createClient({ url });
    const { reason, error } = await client.join("small", { trainer }).done;
    await client.close();
    return { reason, code: error?.code };
  },
};
`;

const WORKER = `
import { serveWorker } from "/sdk/worker.js";
serveWorker({
  trainer: ({ step }) => ({
    train: async ({ weights }) => ({
      weights: weights.map((weight) => weight + step),
      numExamples: 1,
      metrics: { trainLoss: 1 },
    }),
  }),
});
`;

test("[BU8] a page without a bundler, under a strict policy, connects, trains in a Worker and is counted", async () => {
  let connect = "";
  await using server = await startPageServer({
    folders: { "/sdk/": WEB },
    files: { "/plain.js": PAGE, "/plain-worker.js": WORKER },
    headers: () => ({
      "content-security-policy": `default-src 'none'; script-src 'self'; worker-src 'self'; img-src data:; connect-src ${connect}`,
    }),
  });
  await using running = await startCoordinator({
    config: { server: { allowedOrigins: [server.origin] } },
  });
  const { coordinator, url } = running;
  await coordinator.tasks.create(
    smallTask({ schedule: { minClients: 1, minReports: 1 }, stop: { maxRounds: 1 } }),
  );
  connect = `${url} ${url.replace("http", "ws")}`;
  await using profile = await browser.newProfile();
  const page = await profile.open<{
    join: (url: string) => { outcome: string; modelVersion: number; found: string[] };
    refused: (url: string) => { reason: string; code: string };
  }>(server, "plain");
  expect(await page.call("join", url)).toEqual({
    outcome: "committed",
    modelVersion: 1,
    found: ["function", "object"],
  });
  // A refusal arrives with its code, by the same trimmed socket.
  expect(await page.call("refused", url)).toEqual({ reason: "taskEnded", code: undefined });
});
