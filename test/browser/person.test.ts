/** What a person wants comes first: consent, being forgotten, a tab that is out of sight. */

import { expect, test } from "vitest";

import { openTabs, shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import { ALONE, EXAMPLES, LOCAL_PRIVACY, startStripes, STRIPES } from "../support/stripes.ts";
import type { TestPage } from "../support/test-page.ts";
import type { functions, StartOptions } from "./pages/training.page.ts";

type Training = typeof functions;

const browser = shareBrowser();
const options = (url: string, more: Partial<StartOptions> = {}): StartOptions => ({
  url,
  images: { seed: 1, count: EXAMPLES },
  device: "person",
  ...more,
});
const countOf = (page: TestPage<Training>, type: string) =>
  page.told.filter((told) => told.type === type).length;
const updatesIn = (kept: Record<string, number>) => kept["tributary:person updates"];

test("[RB19] nothing is trained before a person agrees, and a reload remembers that they did", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  await page.call("start", options(running.url));
  expect(await page.call("consent")).toBe("unasked");
  expect(await page.call("join", STRIPES)).toEqual({ state: "paused", pausedBy: ["consent"] });
  await page.call("grant");
  await page.until("ended");
  expect(countOf(page, "reported")).toBe(1);
  await page.page.reload();
  await page.call("start", options(running.url));
  expect(await page.call("consent")).toBe("granted");
});

test.each(["training", "upload"] as const)(
  "[RB20] consent withdrawn during the %s stops it, nothing is sent after, and nothing is kept to be sent",
  async (hold) => {
    await using server = await startPageServer();
    await using running = await startStripes(server.origin, ALONE);
    await using profile = await browser.newProfile();
    const page = await profile.open<Training>(server, "training");
    await page.call("start", options(running.url, { hold }));
    await page.call("grant");
    await page.call("join", STRIPES);
    await page.until(hold === "training" ? "training" : "sent");
    const puts: string[] = [];
    page.page.on("request", (request) => {
      if (request.method() === "PUT") puts.push(request.url());
    });
    expect(updatesIn(await page.call("listKept"))).toBe(hold === "training" ? 0 : 1);
    // Said in another tab: it is the same person.
    const other = await profile.open<Training>(server, "training");
    await other.call("start", options(running.url));
    await other.call("withdraw");
    await page.until("paused", { accept: (reasons: string[]) => reasons.includes("consent") });
    await page.call("letGo");
    expect(updatesIn(await other.call("listKept"))).toBe(0);
    // Ends only when all work has stopped.
    await page.call("close");
    expect(countOf(page, "trained")).toBe(hold === "training" ? 0 : 1);
    expect(puts).toEqual([]);
    expect(countOf(page, "reported")).toBe(0);
    await page.page.reload();
    await page.call("start", options(running.url));
    expect(await page.call("consent")).toBe("withdrawn");
    expect(await page.call("join", STRIPES)).toEqual({ state: "paused", pausedBy: ["consent"] });
    expect(await running.coordinator.tasks.get(STRIPES)).toMatchObject({ roundsCommitted: 0 });
  },
);

test("[RB21] a person who wants to be forgotten leaves nothing in the browser, and comes back as somebody new", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, {
    ...LOCAL_PRIVACY,
    schedule: { minClients: 1, minReports: 1 },
    stop: { maxRounds: 2 },
  });
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  await page.call("start", options(running.url));
  await page.call("grant");
  await page.call("join", STRIPES);
  await page.until("ended");
  await page.call("accuracy", STRIPES, { seed: 2, count: 10 });
  expect(await page.call("spent", STRIPES)).toMatchObject({ updates: 2 });
  const kept = await page.call("listKept");
  expect(kept).toMatchObject({ "tributary:person models": 1, "tributary:person trust": 1 });
  expect(kept["tributary:person own"]).toBeGreaterThanOrEqual(3);
  await page.call("close");
  await page.call("forgetMe");
  const left = await page.call("listKept");
  expect(Object.entries(left).filter(([, count]) => count > 0)).toEqual([]);
  await page.page.reload();
  await page.call("start", options(running.url));
  expect(await page.call("consent")).toBe("unasked");
  expect(await page.call("spent", STRIPES)).toMatchObject({ updates: 0 });
});

test("[RB22] a tab that is out of sight does not train, and goes on when it is seen again", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using tabs = await openTabs();
  const page = await tabs.open<Training>(server, "training");
  await page.call("start", options(running.url, { hold: "training" }));
  await page.call("grant");
  await page.call("join", STRIPES, { hiddenAfterMs: 0 });
  await page.until("training");
  const other = await tabs.open(server, "bare");
  await page.until("paused", { accept: (reasons: string[]) => reasons.includes("hidden") });
  await page.until("state", { accept: (state) => state === "paused" });
  expect(countOf(page, "trained")).toBe(0);
  await page.call("letGo");
  const since = page.told.length;
  await other.close();
  await page.page.bringToFront();
  await page.until("paused", { since, accept: (reasons: string[]) => reasons.length === 0 });
  expect(await page.until("ended", { since })).toMatchObject({ reason: "taskEnded" });
  expect([countOf(page, "trained"), countOf(page, "reported")]).toEqual([1, 1]);
});
