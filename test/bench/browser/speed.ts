/** Examples per second of the digits models, in a Worker, on the main thread and in Node, turn by turn. */

import * as tf from "@tensorflow/tfjs";
import { chooseBackend } from "@tributary/client-sdk/node";
import { describeModel } from "@tributary/client-sdk/tfjs";
import { createLayout, type TrainingPlan } from "@tributary/protocol";
import type { Browser, Page } from "playwright-core";

import type { Functions, Place } from "./pages/bench.ts";
import type { Tf, Workload } from "./pages/workload.ts";
import { buildModel, makeTrainer } from "./pages/workload.ts";
import { spreadOf } from "../speed/measure.ts";
import type { Spread } from "../speed/section.ts";

interface Case {
  readonly workload: Workload;
  readonly batchSize: number;
}

/** One to two seconds each on an ordinary core. */
const CASES: readonly Case[] = [
  { workload: { model: "mlp", examples: 6_000 }, batchSize: 10 },
  { workload: { model: "mlp", examples: 12_000 }, batchSize: 32 },
  { workload: { model: "cnn", examples: 200 }, batchSize: 10 },
  { workload: { model: "cnn", examples: 320 }, batchSize: 32 },
];

const planOf = (batchSize: number): TrainingPlan => ({
  epochs: 1,
  batchSize,
  learningRate: 0.01,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
});

interface SpeedResult {
  readonly model: string;
  readonly batchSize: number;
  /** Examples per second. */
  readonly worker: Spread;
  readonly page: Spread;
  readonly node: Spread;
  /** Of the medians. */
  readonly workerToNode: number;
}

export async function benchSpeed(
  browser: Browser,
  origin: string,
  mini: boolean,
): Promise<SpeedResult[]> {
  await chooseBackend({ tf, prefer: "wasm" });
  const page = await browser.newPage();
  await page.goto(origin);
  const results: SpeedResult[] = [];
  for (const { workload, batchSize } of CASES) {
    const examples = mini ? 2 * batchSize : workload.examples;
    const small = { ...workload, examples };
    const inNode = await trainingInNode(small, planOf(batchSize));
    const places = {
      worker: () => trainInBrowser(page, "worker", small, planOf(batchSize)),
      page: () => trainInBrowser(page, "page", small, planOf(batchSize)),
      node: inNode,
    };
    const rates: Record<keyof typeof places, number[]> = { worker: [], page: [], node: [] };
    // The first of each warms up. Interleaved, so that what else the machine does falls on all of them.
    for (let run = 0; run <= (mini ? 1 : 5); run++) {
      for (const place of ["worker", "page", "node"] as const) {
        const ms = await places[place]();
        if (run > 0) rates[place].push((1_000 * examples) / ms);
      }
    }
    const [worker, here, node] = [rates.worker, rates.page, rates.node].map(spreadOf) as [
      Spread,
      Spread,
      Spread,
    ];
    const workerToNode = Number((worker.median / node.median).toFixed(3));
    results.push({ model: workload.model, batchSize, worker, page: here, node, workerToNode });
  }
  await page.close();
  return results;
}

function trainInBrowser(page: Page, place: Place, workload: Workload, plan: TrainingPlan) {
  return page.evaluate(
    ([where, work, how]) =>
      (globalThis as unknown as { bench: Functions }).bench.train(where, work, how),
    [place, workload, plan] as const,
  );
}

async function trainingInNode(workload: Workload, plan: TrainingPlan) {
  const own = tf as unknown as Tf;
  const trainer = makeTrainer(own, workload);
  const { tensors, initialWeights } = await describeModel(buildModel(own, workload.model));
  const layout = await createLayout(tensors);
  const signal = new AbortController().signal;
  return async () => {
    const weights = initialWeights.slice();
    const startedMs = performance.now();
    await trainer.train({ weights, layout, plan, signal });
    return performance.now() - startedMs;
  };
}
