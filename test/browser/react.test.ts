/** The React hooks in a real page, where StrictMode mounts everything twice. */

import type { Page, WebSocket } from "playwright-core";
import { expect, test, vi } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { startPageServer } from "../support/page-server.ts";
import type { functions, Shown } from "./pages/react.page.ts";

const browser = shareBrowser();

/** Connections of the page: all there ever were, and those that are open. */
function watchSockets(page: Page) {
  const all: WebSocket[] = [];
  page.on("websocket", (socket) => all.push(socket));
  return { all, open: () => all.filter((socket) => !socket.isClosed()) };
}

const until = (page: Page, accept: (shown: Shown) => boolean) =>
  vi.waitUntil(
    async () => accept(JSON.parse((await page.locator("output").textContent()) ?? "{}") as Shown),
    { timeout: 20_000, interval: 50 },
  );

test("[RX10] in StrictMode the hooks train and serve over one connection; another token is another client, and none stays", async () => {
  await using server = await startPageServer();
  await using running = await startCoordinator({
    config: { server: { allowedOrigins: [server.origin] } },
  });
  await running.coordinator.tasks.create(
    smallTask({ schedule: { minClients: 1, minReports: 1, pauseBetweenRoundsMs: 200 }, stop: {} }),
  );
  await using profile = await browser.newProfile();
  const { page, call, told } = await profile.open<typeof functions>(server, "react");
  const sockets = watchSockets(page);
  const first = { url: running.url, token: "first-token-of-this-test" };
  await call("render", first);
  await until(page, ({ outcome, version = 0 }) => outcome === "committed" && version > 0);
  expect(sockets.all).toHaveLength(1);
  // React's development build, whose StrictMode does what this test is about.
  expect(told.filter(({ type }) => type === "mounted")).toHaveLength(2);
  await call("render", { ...first });
  expect(sockets.open()).toHaveLength(1);

  await call("render", { ...first, token: "second-token-of-this-test" });
  await until(page, ({ state }) => state !== "notJoined");
  await vi.waitUntil(() => sockets.all.length === 2 && sockets.open().length === 1, 10_000);
  await until(page, ({ outcome, error }) => outcome === "committed" && error === undefined);

  await call("render", undefined);
  await vi.waitUntil(() => sockets.open().length === 0, 10_000);
  expect(sockets.all).toHaveLength(2);
});
