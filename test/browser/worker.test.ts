/** Real Workers that work, and that do not. */

import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import type { functions } from "./pages/worker.page.ts";

const browser = shareBrowser();

async function trainIn(
  name: string,
  fault?: RegExp,
  options?: Parameters<typeof functions.train>[1],
) {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof functions>(server, "worker");
  if (fault !== undefined) page.expectFaults(fault);
  return await page.call("train", name, options);
}

const worked = { sum: 3_000 };
const lost = (text: RegExp) => ({ code: "UNAVAILABLE", text: expect.stringMatching(text) });

test.each(["works", "late"])("[WK1] training in a real Worker: %s", async (name) => {
  expect(await trainIn(name)).toEqual({
    outcomes: [worked, worked],
    progress: [0.5, 0.5],
    ended: null,
  });
});

test.each([
  ["missing", /404/, lost(/could not be loaded/)],
  ["throws", /it cannot load/, lost(/it cannot load/)],
])("[WK6] a Worker that cannot start fails at once: %s", async (name, fault, outcome) => {
  expect(await trainIn(name, fault)).toEqual({
    outcomes: [outcome, outcome],
    progress: [],
    ended: "UNAVAILABLE",
  });
});

test("[WK6] a Worker that never calls serveWorker fails after the time for its start", async () => {
  const outcome = lost(/300 ms/);
  expect(await trainIn("silent", undefined, { startTimeoutMs: 300 })).toMatchObject({
    outcomes: [outcome, outcome],
    ended: "UNAVAILABLE",
  });
});

test.each([
  ["ends", lost(/has ended/)],
  ["hangs", lost(/400 ms/)],
])("[WK7] a Worker is lost while it trains: %s", async (name, outcome) => {
  expect(await trainIn(name, undefined, { silenceTimeoutMs: 400 })).toEqual({
    outcomes: [outcome, outcome],
    progress: [],
    ended: "UNAVAILABLE",
  });
});

test("[WK7] an error that nobody caught in a Worker does not cost the work beside it", async () => {
  expect(await trainIn("throwsAside", /thrown beside the work/)).toMatchObject({
    outcomes: [worked, worked],
    ended: null,
  });
});
