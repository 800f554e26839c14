/** `participateOnce` where it is meant to run: in a service worker, which loads no parts and is ended at any time. */

import { fileURLToPath } from "node:url";

import type { TaskId, TaskSpecInput } from "@tributary/protocol";
import { decodeCheckpoint } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Profile } from "../support/browser.ts";
import { shareBrowser } from "../support/browser.ts";
import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { PageServer } from "../support/page-server.ts";
import { startPageServer } from "../support/page-server.ts";

const browser = shareBrowser();
const WEB = fileURLToPath(new URL("../../client-sdk/dist/web/", import.meta.url));
const TASK = "small" as TaskId;

/** Of a page: registers the worker and asks it, by a channel of its own each time. */
const PAGE = `
import { openDevice } from "/sdk/browser.js";

const device = openDevice();
const ready = navigator.serviceWorker
  .register("/background.js", { type: "module" })
  .then(() => navigator.serviceWorker.ready);
window.tributaryTest = {
  grant: async () => (await device).consent.grant(),
  withdraw: async () => (await device).consent.withdraw(),
  participate: async (url) => {
    const { active } = await ready;
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
    active.postMessage(url, [port2]);
    return answer;
  },
  /** Bytes in each store of the database. */
  kept: (store) =>
    new Promise((resolve, reject) => {
      const request = indexedDB.open("tributary:default");
      request.onerror = reject;
      request.onsuccess = () => {
        const { result } = request;
        const counting = result.transaction(store).objectStore(store).count();
        counting.onsuccess = () => {
          result.close();
          resolve(counting.result);
        };
      };
    }),
};
`;

const WORKER = `
import { openDevice } from "/sdk/browser.js";
import { participateOnce } from "/sdk/one-shot.js";

const trainer = {
  train: async ({ weights }) => ({
    weights: weights.map((weight) => weight + 1),
    numExamples: 1,
    metrics: { trainLoss: 1 },
  }),
};
const participate = async (url) => {
  const device = await openDevice();
  const { clientKey, cache, pendingUpdates, feedback } = device;
  try {
    return await participateOnce({
      ...{ url, taskId: "small", trainer, clientKey, cache, pendingUpdates, feedback },
    });
  } catch (error) {
    return { outcome: "failed", code: error.code, message: error.message };
  } finally {
    device.close();
  }
};
// A run is a worker's own: what it had in memory is not there in the next one.
let runs = 0;
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  const answer = participate(event.data).then((result) => {
    event.ports[0].postMessage({ ...result, runs: (runs += 1) });
  });
  event.waitUntil(answer);
});
`;

interface Answer {
  readonly outcome: string;
  readonly code?: string;
  readonly message?: string;
  readonly comeBackInMs: number;
  readonly runs: number;
}
const openPage = (profile: Profile, server: PageServer) =>
  profile.open<{
    grant: () => Promise<void>;
    withdraw: () => Promise<void>;
    participate: (url: string) => Promise<Answer>;
    kept: (store: string) => Promise<number>;
  }>(server, "alone");

async function open(spec: Partial<TaskSpecInput>) {
  const server = await startPageServer({
    folders: { "/sdk/": WEB },
    files: { "/alone.js": PAGE, "/background.js": WORKER },
  });
  const running = await startCoordinator({
    config: { server: { allowedOrigins: [server.origin] } },
  });
  await running.coordinator.tasks.create(
    smallTask({ ...spec, schedule: { minClients: 1, minReports: 1 } }),
  );
  return { server, running };
}

/** As a browser does by itself half a minute after the last event, and when it is short of memory. */
async function endWorkers({ context }: Profile, server: PageServer): Promise<void> {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await page.goto(server.url("bare"));
  await session.send("ServiceWorker.enable");
  await session.send("ServiceWorker.stopAllWorkers");
  await page.close();
}

async function weightsOf({ coordinator }: RunningCoordinator): Promise<number[]> {
  const { digest } = await coordinator.models.get(TASK, "latest");
  const { layout } = await coordinator.tasks.get(TASK);
  const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
  return [...weights].map((weight) => Number(weight.toFixed(5)));
}

const SHARES: Partial<TaskSpecInput> = {
  plan: {
    encoding: { kind: "topK", fraction: 0.5, values: "float32" },
    compression: "brotli",
  },
  weighting: { kind: "uniform" },
};

test("[MC35] in a service worker an update in any encoding is counted, and what was left out of it goes with the next, after the worker's end", async () => {
  const { server, running } = await open(SHARES);
  await using profile = await browser.newProfile();
  const page = await openPage(profile, server);
  await page.call("grant");
  expect(await page.call("participate", running.url)).toMatchObject({
    ...{ outcome: "reported", runs: 1 },
  });
  await running.roundEnded(1);
  expect(await weightsOf(running)).toEqual([1, 1, 1, 1, 0, 0, 0]);
  expect(await page.call("kept", "feedback")).toBe(1);
  await endWorkers(profile, server);
  expect(await page.call("participate", running.url)).toMatchObject({
    ...{ outcome: "reported", runs: 1 },
  });
  await running.roundEnded(2);
  expect(await weightsOf(running)).toEqual([2, 1, 1, 1, 2, 2, 2]);
  await running[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("[MC35] whoever withdraws consent has no feedback left, and nothing is sent or kept any more", async () => {
  const { server, running } = await open(SHARES);
  await using profile = await browser.newProfile();
  const page = await openPage(profile, server);
  await page.call("grant");
  await page.call("participate", running.url);
  await running.roundEnded(1);
  expect(await page.call("kept", "feedback")).toBe(1);
  await page.call("withdraw");
  expect(await page.call("kept", "feedback")).toBe(0);
  const answer = await page.call("participate", running.url);
  // The place was given back.
  expect(answer).toMatchObject({ outcome: "failed", code: "ABORTED" });
  expect(await page.call("kept", "feedback")).toBe(0);
  expect((await running.coordinator.models.get(TASK, "latest")).modelVersion).toBe(1);
  await running[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
