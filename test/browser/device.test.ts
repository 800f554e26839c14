/** What only a browser shows of a device: its tabs, its locks, its storage, its graphics. */

import { expect, test } from "vitest";

import { openTabs, shareBrowser } from "../support/browser.ts";
import type { PageServer } from "../support/page-server.ts";
import { startPageServer } from "../support/page-server.ts";
import type { functions } from "./pages/device.page.ts";

type DevicePage = typeof functions;

const browser = shareBrowser();
const DATABASE = "tributary:default";
const nothing = (reasons: readonly string[]) => reasons.length === 0;
const only = (reason: string) => (reasons: readonly string[]) => reasons.join() === reason;

async function openPages(server: PageServer, profile: Awaited<ReturnType<typeof openTabs>>) {
  const first = await profile.open<DevicePage>(server, "device");
  const second = await profile.open<DevicePage>(server, "device");
  return [first, second] as const;
}

test("[BR1] tabs that open at once share one key, also after a reload; another origin is another person", async () => {
  await using server = await startPageServer();
  await using elsewhere = await startPageServer();
  await using profile = await browser.newProfile();
  const [first, second] = await openPages(server, profile);
  const keys = await Promise.all([first.call("open"), second.call("open")]);
  expect(keys[0]).toBe(keys[1]);
  await first.page.reload();
  expect(await first.call("open")).toBe(keys[0]);
  const foreign = await profile.open<DevicePage>(elsewhere, "device");
  expect(await foreign.call("open")).not.toBe(keys[0]);
});

test("[BR3] two tabs on one ledger do not both write the same revision, and a reload finds it", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const [first, second] = await openPages(server, profile);
  await Promise.all([first.call("open"), second.call("open")]);
  for (let revision = 0; revision < 10; revision++) {
    const saved = await Promise.all([
      first.call("spend", "by the first", revision),
      second.call("spend", "by the second", revision),
    ]);
    expect(saved.filter(Boolean)).toHaveLength(1);
  }
  await first.page.reload();
  await first.call("open");
  expect(await first.call("spent")).toMatchObject({ revision: 10 });
});

test("[BR8] who is forgotten in one tab is forgotten in all, also where an app holds the database and a tab sleeps", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const [here, there] = await openPages(server, profile);
  const asleep = await profile.open<DevicePage>(server, "device");
  const key = await here.call("open");
  await there.call("open");
  await asleep.call("open");
  await here.call("grant");
  await there.until("consent", { accept: (state) => state === "granted" });
  await asleep.until("consent", { accept: (state) => state === "granted" });
  await here.call("keep", 1000);
  await here.call("spend", "all of it", 0);
  await there.call("want");
  await there.until("against", { accept: nothing });
  await there.call("holdOpen", DATABASE);
  await asleep.call("sleepUntilMarked", "awake");
  await here.call("forgetMe");
  expect(await here.call("count", DATABASE)).toBe(0);
  await there.until("over");
  expect(await there.call("against")).toEqual(["consent"]);
  // Somebody new is there before the tab wakes up.
  const next = await here.call("open");
  expect(next).not.toBe(key);
  expect(await here.call("consent")).toBe("unasked");
  await here.call("mark", "awake");
  await asleep.until("over");
  await here.call("unmark", "awake");
  expect(await here.call("kept")).toBeUndefined();
  expect(await here.call("spent")).toBeUndefined();
  expect(await there.call("open")).toBe(next);
});

test("[BR22] of two tabs one has the turn; the other one gets it when that is closed, reloads or forgets to want it", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const [first, second] = await openPages(server, profile);
  for (const tab of [first, second]) await tab.call("open");
  await first.call("grant");
  await second.until("consent", { accept: (state) => state === "granted" });
  await first.call("want");
  await first.until("against", { accept: nothing });
  await second.call("want");
  expect(await second.call("against")).toEqual(["otherTab"]);
  await first.page.reload();
  await second.until("against", { accept: nothing });
  await first.call("open");
  let since = first.told.length;
  await first.call("want");
  expect(await first.call("against")).toEqual(["otherTab"]);
  await second.call("unwant");
  await first.until("against", { since, accept: nothing });
  since = second.told.length;
  await second.call("want");
  await second.until("against", { since, accept: only("otherTab") });
  await first.close();
  await second.until("against", { since, accept: nothing });
});

test("[BR21] a tab that is covered by another one stops, and the one in sight has the turn", async () => {
  await using server = await startPageServer();
  await using tabs = await openTabs();
  const first = await tabs.open<DevicePage>(server, "device");
  await first.call("open");
  await first.call("grant");
  await first.call("want", { hiddenAfterMs: 0 });
  await first.until("against", { accept: nothing });
  const since = first.told.length;
  const second = await tabs.open<DevicePage>(server, "device");
  await first.until("against", { since, accept: only("hidden") });
  await second.call("open");
  await second.call("want", { hiddenAfterMs: 0 });
  await second.until("against", { accept: nothing });
  const [before, after] = [first.told.length, second.told.length];
  await first.page.bringToFront();
  await second.until("against", { since: after, accept: only("hidden") });
  await first.until("against", { since: before, accept: nothing });
});

test("[BR9] a site without room keeps what it has and says so; a frame without an origin has no storage", async () => {
  // For the frame, whose own origin is none.
  await using server = await startPageServer({ headers: { "access-control-allow-origin": "*" } });
  await using profile = await browser.newProfile();
  const page = await profile.open<DevicePage>(server, "device");
  const session = await profile.context.newCDPSession(page.page);
  const { origin } = server;
  // Before anything is kept: Chromium remembers for a while how much room there was.
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1_000_000 });
  await page.call("open");
  expect(await page.call("keep", 1000)).toBe("kept");
  expect(await page.call("keep", 8_000_000)).toBe("UNAVAILABLE quota");
  expect(await page.call("kept")).toBe(1000);
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  expect(await page.call("keep", 8_000_000)).toBe("kept");
  expect(await page.call("openInSandbox")).toBe("UNAVAILABLE blocked");
});

test("[BR30] a page and a dedicated Worker take wasm where the graphics are software, and say so", async () => {
  await using server = await startPageServer();
  await using profile = await browser.newProfile();
  const page = await profile.open<DevicePage>(server, "device");
  for (const where of ["backendHere", "backendInWorker"] as const) {
    expect(await page.call(where), where).toEqual({
      backend: "wasm",
      reason: expect.stringMatching(
        /^wasm computes \(webgpu was not taken: .+; webgl was not taken: .+\)$/,
      ),
    });
  }
});
