/** Training in a dedicated Worker of a page: what the page and the Worker's memory notice of it. */

import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import { ALONE, EXAMPLES, SEEDED_PLAN, startStripes, STRIPES } from "../support/stripes.ts";
import type { Frames } from "./pages/frames.ts";
import type { functions } from "./pages/training.page.ts";

type Training = typeof functions;

const browser = shareBrowser();

test("[RB10] while a Worker trains the page goes on drawing, which training on the page itself stops", async () => {
  await using server = await startPageServer();
  /** Of the whole training, one single step: the share that was the longest time without a frame. */
  const longestGapOf = async (where: "page" | "worker") => {
    const count = 6_000;
    await using running = await startStripes(server.origin, {
      ...ALONE,
      plan: { ...SEEDED_PLAN, epochs: 1, batchSize: count },
    });
    await using profile = await browser.newProfile();
    const page = await profile.open<Training>(server, "training");
    await page.call("start", { url: running.url, where, images: { seed: 1, count } });
    await page.call("join", STRIPES);
    const { longestGapMs, spanMs } = await page.until<Frames>("trained");
    expect(spanMs).toBeGreaterThan(0);
    return longestGapMs / spanMs;
  };
  expect(await longestGapOf("page")).toBeGreaterThan(0.5);
  expect(await longestGapOf("worker")).toBeLessThan(0.5);
});

test("[RB11] a Worker has no more tensors after five rounds than after one", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, { ...ALONE, stop: { maxRounds: 5 } });
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  await page.call("start", { url: running.url, images: { seed: 1, count: EXAMPLES } });
  await page.call("join", STRIPES);
  await page.until("ended");
  const counts = page.told.filter(({ type }) => type === "tensors").map(({ detail }) => detail);
  expect(counts).toHaveLength(5);
  expect(new Set(counts).size).toBe(1);
  expect(counts[0]).toBeGreaterThan(0);
});
