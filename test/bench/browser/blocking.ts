/** How long a whole training round blocks the page's main thread, with a Worker and without. */

import * as tf from "@tensorflow/tfjs";
import { chooseBackend } from "@tributary/client-sdk/node";
import { startTestCoordinator } from "@tributary/client-sdk/testing";
import { describeModel } from "@tributary/client-sdk/tfjs";
import type { TaskSpecInput } from "@tributary/protocol";
import type { Browser, Page } from "playwright-core";

import type { Functions, Place } from "./pages/bench.ts";
import type { Gaps } from "./pages/gap-meter.ts";
import type { ModelName } from "./pages/workload.ts";
import { buildModel } from "./pages/workload.ts";
import { spreadOf } from "../speed/measure.ts";
import type { Spread } from "../speed/section.ts";

interface BlockingResult {
  readonly model: ModelName;
  readonly parameters: number;
  readonly place: Place | "idle";
  readonly longestGapMs: Spread;
  readonly longestTaskMs: Spread;
}

const EXAMPLES = 64;
const BATCH = 32;

export async function benchBlocking(
  browser: Browser,
  origin: string,
  mini: boolean,
): Promise<BlockingResult[]> {
  await chooseBackend({ tf, prefer: "wasm" });
  await using coordinator = await startTestCoordinator({
    config: { server: { allowedOrigins: [origin] } },
  });
  const results: BlockingResult[] = [];
  for (const model of mini ? (["1M"] as const) : (["1M", "10M"] as const)) {
    const built = buildModel(tf, model);
    const { tensors, initialWeights } = await describeModel(built);
    built.dispose();
    const gaps: Record<Place | "idle", Gaps[]> = { worker: [], page: [], idle: [] };
    const places = ["worker", "page", "idle"] as const;
    for (let run = 0; run < (mini ? 1 : 5); run++) {
      for (const place of places) {
        const taskId = `blocking-${model.toLowerCase()}-${place}-${run}`;
        const task: TaskSpecInput = {
          taskId,
          model: { tensors },
          plan: { epochs: 1, batchSize: BATCH, learningRate: 0.01 },
          sampler: { kind: "all" },
          schedule: { minClients: 1, minReports: 1 },
          stop: { maxRounds: 1 },
        };
        await coordinator.tasks.create(task, initialWeights);
        const page = await browser.newPage();
        await page.goto(origin);
        gaps[place].push(await measure(page, place, model, coordinator.url, taskId));
        await page.close();
      }
    }
    const parameters = initialWeights.length;
    for (const place of places) {
      const longestGapMs = spreadOf(gaps[place].map((one) => one.longestGapMs));
      const longestTaskMs = spreadOf(gaps[place].map((one) => one.longestTaskMs));
      results.push({ model, parameters, place, longestGapMs, longestTaskMs });
    }
  }
  return results;
}

function measure(
  page: Page,
  place: Place | "idle",
  model: ModelName,
  url: string,
  taskId: string,
): Promise<Gaps> {
  if (place === "idle") {
    return page.evaluate(() => (globalThis as unknown as { bench: Functions }).bench.idle(3_000));
  }
  return page.evaluate(
    ([where, work, at, task]) =>
      (globalThis as unknown as { bench: Functions }).bench.round(where, work, at, task),
    [place, { model, examples: EXAMPLES }, url, taskId] as const,
  );
}
