/** The task of the pages in `test/browser/pages`, with its coordinator and clients in Node. */

import * as tf from "@tensorflow/tfjs";
import type { Client, Participant } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import { chooseBackend } from "@tributary/client-sdk/node";
import { createTfjsTrainer, describeModel } from "@tributary/client-sdk/tfjs";
import type { ConfigInput } from "@tributary/coordinator";
import { calibrateLocalNoise } from "@tributary/coordinator/privacy";
import type { Layout, TaskId, TaskSpecInput } from "@tributary/protocol";
import { createLayout } from "@tributary/protocol";

import { makeModel, makeStripes } from "../browser/pages/stripes.ts";
import type { RunningCoordinator } from "./coordinator.ts";
import { startCoordinator } from "./coordinator.ts";

export const STRIPES = "stripes" as TaskId;

/** Images of one client. */
export const EXAMPLES = 48;

const PLAN = { epochs: 2, batchSize: 8, learningRate: 0.1 };
/** Every run is the same. */
export const SEEDED_PLAN = { ...PLAN, seed: 7 };

/** One round of one client. */
export const ALONE: Partial<TaskSpecInput> = {
  stop: { maxRounds: 1 },
  schedule: { minClients: 1, minReports: 1 },
};

/** The same backend as the pages': only so are their updates equal. */
export const wasmTf = async (): Promise<typeof tf> => {
  tf.env().set("PROD", true);
  return (await chooseBackend({ tf, prefer: "wasm" })).tf;
};

/** Within which a client has three updates with local noise. */
export const LOCAL_PRIVACY: Partial<TaskSpecInput> = {
  clippingNorm: 1,
  privacy: {
    mechanism: "local",
    noiseMultiplier: calibrateLocalNoise({ targetEpsilon: 8, delta: 1e-5, rounds: 3 })
      .noiseMultiplier,
    delta: 1e-5,
    maxEpsilon: 8,
  },
};

export interface StripesCoordinator extends RunningCoordinator {
  readonly layout: Layout;
}

/**
 * A coordinator with the task. Windows are long: nothing here waits for one to end.
 * @param origin whose pages it lets in
 */
export async function startStripes(
  origin: string,
  task: Partial<TaskSpecInput> = {},
  config: ConfigInput = {},
): Promise<StripesCoordinator> {
  const spec = await stripesTask(task);
  const running = await startCoordinator({
    config: { ...config, server: { allowedOrigins: [origin], ...config.server } },
  });
  const { layout } = await running.coordinator.tasks.create(spec.task, spec.initialWeights);
  return { ...running, layout };
}

export async function stripesTask(overrides: Partial<TaskSpecInput> = {}): Promise<{
  readonly task: TaskSpecInput;
  readonly initialWeights: Float32Array;
  readonly layout: Layout;
}> {
  const model = makeModel(await wasmTf());
  const { tensors, initialWeights } = await describeModel(model);
  model.dispose();
  const task: TaskSpecInput = {
    taskId: STRIPES,
    model: { tensors },
    plan: PLAN,
    sampler: { kind: "all" },
    ...overrides,
    schedule: {
      minClients: 2,
      minReports: 2,
      selectionDeadlineMs: 60_000,
      reportWindowMs: 60_000,
      ...overrides.schedule,
    },
  };
  return { task, initialWeights, layout: await createLayout(tensors) };
}

export interface NodeClient extends AsyncDisposable {
  readonly client: Client;
  readonly participant: Participant;
  /** The bytes of each update, as it went out. */
  readonly sent: readonly Uint8Array[];
}

/** A client that trains on images of its own, made from `seed`; each training waits for `hold`. */
export async function joinInNode(
  url: string,
  seed: number,
  options: { readonly token?: string; readonly count?: number; readonly hold?: Promise<void> } = {},
): Promise<NodeClient> {
  const tf = await wasmTf();
  const sent: Uint8Array[] = [];
  const { token, count = EXAMPLES, hold } = options;
  const client = createClient({
    url,
    ...(token === undefined ? {} : { token }),
    backoff: { baseMs: 20, maxMs: 200 },
    fetch: async (input, init) => {
      if (init?.method === "PUT") sent.push((init.body as Uint8Array).slice());
      return fetch(input, init);
    },
  });
  const trainer = createTfjsTrainer({
    tf,
    model: () => makeModel(tf),
    dataset: makeStripes(seed, count),
  });
  const participant = client.join(STRIPES, {
    trainer: {
      ...trainer,
      train: async (request) => {
        await hold;
        return trainer.train(request);
      },
    },
  });
  return {
    client,
    participant,
    sent,
    [Symbol.asyncDispose]: async () => {
      await client.close();
      trainer.dispose?.();
    },
  };
}
