/** What comes between a page and its round: other tabs, reloads, restarts, a network that is gone. */

import { expect, test } from "vitest";

import { startBrokenRoad } from "../support/broken-road.ts";
import type { Profile } from "../support/browser.ts";
import { shareBrowser } from "../support/browser.ts";
import { startCoordinator } from "../support/coordinator.ts";
import { temporaryFolder } from "../support/folder.ts";
import type { PageServer } from "../support/page-server.ts";
import { startPageServer } from "../support/page-server.ts";
import {
  ALONE,
  EXAMPLES,
  joinInNode,
  LOCAL_PRIVACY,
  startStripes,
  STRIPES,
} from "../support/stripes.ts";
import type { TestPage } from "../support/test-page.ts";
import type { functions, StartOptions } from "./pages/training.page.ts";

type Training = typeof functions;

const browser = shareBrowser();
const AT_THE_END = { reason: "taskEnded", endReason: "maxRoundsReached" };
const UNSEEN = { seed: 999, count: 60 };
/** What the console says of a coordinator that is not there. */
const UNREACHABLE = /WebSocket connection to|Failed to load resource/;

const options = (url: string, more: Partial<StartOptions> = {}): StartOptions => ({
  url,
  images: { seed: 1, count: EXAMPLES },
  device: "person",
  ...more,
});

/** A tab of a person who agrees. */
async function joinIn(
  profile: Profile,
  server: PageServer,
  url: string,
  more: Partial<StartOptions> = {},
): Promise<TestPage<Training>> {
  const page = await profile.open<Training>(server, "training");
  await page.call("start", options(url, more));
  await page.call("grant");
  await page.call("join", STRIPES);
  return page;
}

/** Reloads the page, which starts and joins anew. @returns index of the first thing told since */
async function reload(page: TestPage<Training>, again: StartOptions): Promise<number> {
  await page.page.reload();
  const since = page.told.length;
  await page.call("start", again);
  await page.call("join", STRIPES);
  return since;
}

const countOf = (page: TestPage<Training>, type: string, since = 0) =>
  page.told.slice(since).filter((told) => told.type === type).length;

test("[RB12] of two tabs one trains; when it is closed the other one takes over", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const first = await joinIn(profile, server, running.url, { hold: "training" });
  await first.until("training");
  const second = await joinIn(profile, server, running.url);
  expect(await second.call("pausedBy")).toEqual(["otherTab"]);
  expect(await first.call("pausedBy")).toEqual([]);
  await first.close();
  await second.until("paused", { accept: (reasons: string[]) => reasons.length === 0 });
  expect(await second.until("ended")).toEqual(AT_THE_END);
  expect([countOf(second, "trained"), countOf(second, "reported")]).toEqual([1, 1]);
  expect(countOf(first, "sent")).toBe(0);
  const task = await running.coordinator.tasks.get(STRIPES);
  expect(task).toMatchObject({ roundsCommitted: 1, roundsAbandoned: 0 });
});

test("[RB13] a page that is reloaded in mid-training trains again, and the round gets its update", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await joinIn(profile, server, running.url, { hold: "training" });
  await page.until("training");
  const since = await reload(page, options(running.url));
  expect(await page.until("ended", { since })).toEqual(AT_THE_END);
  expect([countOf(page, "trained"), countOf(page, "reported")]).toEqual([1, 1]);
  const task = await running.coordinator.tasks.get(STRIPES);
  expect(task).toMatchObject({ roundsCommitted: 1, roundsAbandoned: 0 });
});

test("[RB14] an update that was made before a reload is sent as it is, and paid for once", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, { ...ALONE, ...LOCAL_PRIVACY });
  await using profile = await browser.newProfile();
  const page = await joinIn(profile, server, running.url, { hold: "upload" });
  const made = await page.until<number[]>("sent");
  const since = await reload(page, options(running.url));
  expect(await page.until("sent", { since })).toEqual(made);
  expect(await page.until("ended", { since })).toEqual(AT_THE_END);
  expect([countOf(page, "training"), countOf(page, "trained", since)]).toEqual([1, 0]);
  expect(await page.call("spent", STRIPES)).toMatchObject({ updates: 1 });
  const task = await running.coordinator.tasks.get(STRIPES);
  expect(task).toMatchObject({ roundsCommitted: 1, roundsAbandoned: 0 });
});

test.each(["training", "reported"] as const)(
  "[RB15] a coordinator that restarts when a page is %s gets one update, of one training",
  async (moment) => {
    await using server = await startPageServer();
    await using folder = await temporaryFolder();
    const storage = { kind: "sqlite", directory: folder.path } as const;
    const first = await startStripes(server.origin, { stop: { maxRounds: 1 } }, { storage });
    const { url } = first;
    await using profile = await browser.newProfile();
    const page = await joinIn(profile, server, url, {
      ...(moment === "training" ? { hold: "training" } : {}),
    });
    page.expectFaults(UNREACHABLE);
    // Two reports make the round: it stays open until the second one comes, after the restart.
    let letGo = () => {};
    const hold = new Promise<void>((resolve) => (letGo = resolve));
    await using other = await joinInNode(url, 2, { hold });
    await page.until(moment);
    await first.coordinator.close();
    const port = Number(new URL(url).port);
    await using second = await startCoordinator({
      config: { storage, server: { port, allowedOrigins: [server.origin] } },
    });
    await page.call("letGo");
    letGo();
    expect(await page.until("ended", { timeoutMs: 30_000 })).toEqual(AT_THE_END);
    expect(countOf(page, "training")).toBe(1);
    expect(await other.participant.done).toEqual(AT_THE_END);
    expect(await second.coordinator.tasks.get(STRIPES)).toMatchObject({
      roundsCommitted: 1,
      roundsAbandoned: 0,
    });
  },
);

test("[RB16] with the coordinator gone and the page reloaded, the model that was served still predicts", async () => {
  await using server = await startPageServer();
  const running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await joinIn(profile, server, running.url);
  await page.until("ended");
  const served = await page.call("accuracy", STRIPES, UNSEEN);
  expect(served.version).toBe(1);
  page.expectFaults(UNREACHABLE);
  await running.coordinator.close();
  await page.page.reload();
  await page.call("start", options(running.url));
  expect(await page.call("accuracy", STRIPES, UNSEEN, false)).toEqual(served);
});

test("[RB17] a model that is damaged in the browser's database is fetched anew, a good one is not", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  const fetched: string[] = [];
  page.page.on("request", (request) => {
    if (request.url().includes("/checkpoints/")) fetched.push(request.url());
  });
  await page.call("start", options(running.url));
  const served = await page.call("accuracy", STRIPES, UNSEEN);
  expect(fetched).toHaveLength(1);
  await page.page.reload();
  await page.call("start", options(running.url));
  expect(await page.call("accuracy", STRIPES, UNSEEN)).toEqual(served);
  expect(fetched).toHaveLength(1);
  expect(await page.call("damageModels", "person")).toBe(1);
  await page.page.reload();
  await page.call("start", options(running.url));
  expect(await page.call("accuracy", STRIPES, UNSEEN)).toEqual(served);
  expect(fetched).toHaveLength(2);
});

test("[RB18] an update that is made while the network is gone is sent when it is back", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await joinIn(profile, server, running.url, { hold: "training" });
  page.expectFaults(UNREACHABLE);
  await page.until("training");
  // By now the Worker has all its files.
  await page.call("accuracy", STRIPES, UNSEEN);
  await profile.setOffline(true);
  await page.call("letGo");
  await page.until("sent");
  // Once more already while it is gone.
  await page.until("sent", { since: page.told.length });
  expect(countOf(page, "reported")).toBe(0);
  await profile.setOffline(false);
  expect(await page.until("ended")).toEqual(AT_THE_END);
  const sent = page.told.filter(({ type }) => type === "sent").map(({ detail }) => detail);
  expect(sent.length).toBeGreaterThan(1);
  for (const frame of sent) expect(frame).toEqual(sent[0]);
  expect(countOf(page, "training")).toBe(1);
});

test("[RB18] an upload that breaks off in the middle is sent again, whole, when the network is back", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using road = await startBrokenRoad(running.url);
  await using profile = await browser.newProfile();
  const page = await joinIn(profile, server, road.url);
  page.expectFaults(UNREACHABLE);
  await road.stuck;
  await profile.setOffline(true);
  expect(road.uploads).toBe(1);
  road.breakOff();
  await profile.setOffline(false);
  expect(await page.until("ended")).toEqual(AT_THE_END);
  expect([countOf(page, "training"), countOf(page, "reported")]).toEqual([1, 1]);
  // By the browser itself, or by the SDK.
  expect(road.uploads).toBeGreaterThan(1);
  expect(await running.roundEnded(1)).toMatchObject({
    phase: "committed",
    participants: { selected: 1, reported: 1, disconnected: 0 },
    rejections: {},
  });
});
