/** A coordinator and the pages of other origins, as a browser itself sees to it. */

import { routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import { ALONE, EXAMPLES, startStripes, STRIPES } from "../support/stripes.ts";
import type { functions as bare } from "./pages/bare.page.ts";
import type { functions as training } from "./pages/training.page.ts";

const browser = shareBrowser();
const TOKEN = "a-client-token-for-tests-in-a-browser";
const START = { where: "page", images: { seed: 1, count: EXAMPLES } } as const;

test("[RB7] a page of an allowed origin trains with its token, and without one or with a wrong one it is told so", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE, { auth: { clientToken: TOKEN } });
  const { url } = running;
  const endWith = async (token: object) => {
    await using profile = await browser.newProfile();
    const page = await profile.open<typeof training>(server, "training");
    await page.call("start", { ...START, url, ...token });
    await page.call("join", STRIPES);
    // Awaited here: the profile is gone afterwards.
    return await page.until("ended");
  };
  const refused = { reason: "failed", error: { code: "UNAUTHENTICATED" } };
  expect(await endWith({})).toMatchObject(refused);
  expect(await endWith({ token: "another-token-of-the-same-kind" })).toMatchObject(refused);
  expect(await endWith({ token: TOKEN })).toMatchObject({ reason: "taskEnded" });
});

test("[RB8] a page of an origin that is not allowed neither reads, nor connects, nor sends", async () => {
  await using home = await startPageServer();
  await using stranger = await startPageServer();
  await using running = await startStripes(home.origin, ALONE);
  const { url } = running;
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof training>(stranger, "training");
  await page.call("start", { ...START, url });
  await page.call("join", STRIPES);
  await page.takeFault(/WebSocket connection to .* failed/);
  expect(page.told.filter(({ type }) => type === "state")).toEqual([]);

  const reader = await profile.open<typeof bare>(stranger, "bare");
  reader.expectFaults(/Failed to load resource/);
  const path = url + routes.tasks.path();
  await expect(reader.call("reach", path)).rejects.toThrow("Failed to fetch");
  await reader.takeFault(/blocked by CORS policy/);
  const put = { method: "PUT", headers: { authorization: "Bearer x" }, body: "x" };
  await expect(reader.call("reach", path, put)).rejects.toThrow("Failed to fetch");
});

test("[RB9] an allowed page reads the headers that clients need, and cookies are never taken along", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await profile.open<typeof bare>(server, "bare");
  page.expectFaults(/Failed to load resource/);
  const checkpoint = routes.checkpoint.path({ taskId: STRIPES, modelVersion: 0 });
  const { status, headers } = await page.call("reach", running.url + checkpoint);
  const { digest } = await running.coordinator.models.get(STRIPES, 0);
  expect(status).toBe(200);
  expect(headers.etag).toContain(digest);
  const withCookies = { credentials: "include" } as const;
  await expect(page.call("reach", running.url + checkpoint, withCookies)).rejects.toThrow(
    "Failed to fetch",
  );
  await page.takeFault(/Access-Control-Allow-Credentials/);
});
