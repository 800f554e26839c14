import { decodeUpdate, l2Norm } from "@tributary/protocol";
import { expect, test } from "vitest";

import { shareBrowser } from "../support/browser.ts";
import { startPageServer } from "../support/page-server.ts";
import {
  ALONE,
  EXAMPLES,
  joinInNode,
  SEEDED_PLAN,
  startStripes,
  STRIPES,
} from "../support/stripes.ts";
import type { functions } from "./pages/training.page.ts";

type Training = typeof functions;

const browser = shareBrowser();
const AT_THE_END = { reason: "taskEnded", endReason: "maxRoundsReached" };
const IMAGES = { seed: 1, count: EXAMPLES };
/** Images that nobody trains on. */
const UNSEEN = { seed: 999, count: 150 };

test("[RB3] a page and clients in Node train one model over real rounds, and it improves", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, {
    plan: SEEDED_PLAN,
    stop: { maxRounds: 4 },
    schedule: { minClients: 3, minReports: 3 },
  });
  const { url } = running;
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  await page.call("start", { url, images: IMAGES });
  await page.call("join", STRIPES);
  const before = await page.call("accuracy", STRIPES, UNSEEN);
  expect(before.version).toBe(0);
  await using second = await joinInNode(url, 2);
  await using third = await joinInNode(url, 3);
  expect(await page.until("ended")).toEqual(AT_THE_END);
  const after = await page.call("accuracy", STRIPES, UNSEEN);
  expect(after.version).toBe(4);
  expect(after.accuracy).toBeGreaterThan(before.accuracy + 0.25);
  // Nothing was made or sent twice.
  expect(page.told.filter(({ type }) => type === "sent")).toHaveLength(4);
  expect([second.sent.length, third.sent.length]).toEqual([4, 4]);
});

test("[RB4] in one round a page and a client in Node make the same update from the same data and seed", async () => {
  await using server = await startPageServer();
  await using running = await startStripes(server.origin, {
    plan: SEEDED_PLAN,
    stop: { maxRounds: 1 },
  });
  const { url } = running;
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  await page.call("start", { url, images: { seed: 5, count: EXAMPLES } });
  await page.call("join", STRIPES);
  await using twin = await joinInNode(url, 5);
  await page.until("ended");
  await twin.participant.done;
  const frames = [Uint8Array.from(await page.until<number[]>("sent")), twin.sent[0]!];
  const [inPage, inNode] = frames.map((frame) => decodeUpdate(running.layout, frame));
  expect([inPage!.numExamples, inNode!.numExamples]).toEqual([EXAMPLES, EXAMPLES]);
  expect(l2Norm(inNode!.delta)).toBeGreaterThan(0.1);
  const differences = inPage!.delta.map((value, i) => Math.abs(value - inNode!.delta[i]!));
  expect(Math.max(...differences)).toBeLessThan(1e-5);
  expect(inPage!.metrics.trainLoss).toBeCloseTo(inNode!.metrics.trainLoss!, 5);
});

test.each(["page", "worker"] as const)(
  "[RB5] under the strictest policy, without eval and with exact origins, a %s trains and predicts",
  async (where) => {
    let connect = "";
    await using server = await startPageServer({
      headers: () => ({
        "content-security-policy":
          "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; img-src data:; " +
          `base-uri 'none'; form-action 'none'; connect-src 'self' ${connect}`,
      }),
    });
    await using running = await startStripes(server.origin, ALONE);
    const { url } = running;
    connect = `${url} ${url.replace("http", "ws")}`;
    await using profile = await browser.newProfile();
    const page = await profile.open<Training>(server, "training");
    await page.call("start", { url, where, images: IMAGES });
    await page.call("join", STRIPES);
    expect(await page.until("ended")).toEqual(AT_THE_END);
    expect(await page.call("accuracy", STRIPES, UNSEEN)).toMatchObject({ version: 1 });
  },
);

test("[RB6] a cross-origin-isolated page trains and predicts, on one thread", async () => {
  await using server = await startPageServer({
    headers: {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    },
  });
  await using running = await startStripes(server.origin, ALONE);
  await using profile = await browser.newProfile();
  const page = await profile.open<Training>(server, "training");
  expect(await page.page.evaluate(() => crossOriginIsolated)).toBe(true);
  await page.call("start", { url: running.url, images: IMAGES });
  await page.call("join", STRIPES);
  expect(await page.until("ended")).toEqual(AT_THE_END);
  expect(await page.call("accuracy", STRIPES, UNSEEN)).toMatchObject({ version: 1 });
  expect(server.requests.filter((path) => path.startsWith("/wasm/"))).toEqual([
    "/wasm/tfjs-backend-wasm-simd.wasm",
  ]);
});
