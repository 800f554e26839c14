/** The benchmark's page: trains here or in a Worker, alone or in a round, and watches its own main thread. */

import { createClient, type Trainer } from "@tributary/client-sdk";
import { describeModel } from "@tributary/client-sdk/tfjs";
import { connectWorker } from "@tributary/client-sdk/worker";
import { createLayout, type TrainingPlan } from "@tributary/protocol";

import { type Gaps, startGapMeter } from "./gap-meter.ts";
import { loadTf } from "./tf.ts";
import { buildModel, makeTrainer, type Workload } from "./workload.ts";

export type Place = "page" | "worker";

function startWorker(workload: Workload): { trainer: Trainer; end: () => void } {
  const worker = new Worker(new URL("./training-worker.ts", import.meta.url), { type: "module" });
  const { trainer } = connectWorker(worker, { setup: workload });
  return { trainer, end: () => worker.terminate() };
}

const trainers = new Map<string, Trainer>();

async function trainerFor(place: Place, workload: Workload): Promise<Trainer> {
  const key = JSON.stringify([place, workload]);
  const made =
    trainers.get(key) ??
    (place === "worker" ? startWorker(workload).trainer : makeTrainer(await loadTf(), workload));
  trainers.set(key, made);
  return made;
}

const functions = {
  /** Milliseconds of one training, by `train` itself: what the Worker's port costs is in it. */
  train: async (place: Place, workload: Workload, plan: TrainingPlan): Promise<number> => {
    const trainer = await trainerFor(place, workload);
    const model = buildModel(await loadTf(), workload.model);
    const { tensors, initialWeights: weights } = await describeModel(model);
    model.dispose();
    const layout = await createLayout(tensors);
    const signal = new AbortController().signal;
    const startedMs = performance.now();
    await trainer.train({ weights, layout, plan, signal });
    return performance.now() - startedMs;
  },
  /** A whole round, from `join` to its commit, with all that is loaded for it on the way. */
  round: async (place: Place, workload: Workload, url: string, taskId: string): Promise<Gaps> => {
    const stop = startGapMeter();
    const started =
      place === "worker"
        ? startWorker(workload)
        : { trainer: makeTrainer(await loadTf(), workload), end: () => undefined };
    const client = createClient({ url });
    const participant = client.join(taskId, { trainer: started.trainer });
    const outcome = await new Promise<string>((resolve) => {
      participant.on("closed", (closed) => resolve(closed.outcome));
      participant.on("error", (error) => resolve(`${error.code}: ${error.message}`));
    });
    const gaps = await stop();
    await client.close();
    started.end();
    if (outcome !== "committed") throw new Error(`the round ended otherwise: ${outcome}`);
    return gaps;
  },
  /** What the meter finds where nothing is done: the machine's own noise. */
  idle: async (durationMs: number): Promise<Gaps> => {
    const stop = startGapMeter();
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    return stop();
  },
};

export type Functions = typeof functions;
(globalThis as { bench?: Functions }).bench = functions;
