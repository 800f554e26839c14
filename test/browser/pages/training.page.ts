/** A page that takes part as apps do: a device that remembers, training and predicting in a Worker or on the page itself. */

import type { Client, ClientOptions, Participant, Predictor, Trainer } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import type { ConditionOptions, Device } from "@tributary/client-sdk/browser";
import { openDevice, wakeWhenBack } from "@tributary/client-sdk/browser";
import type { NestedNumbers, PredictorInput } from "@tributary/client-sdk/tfjs";
import { connectWorker } from "@tributary/client-sdk/worker";

import { expose, tell } from "./expose.ts";
import { makeGate, watchTraining } from "./watched-training.ts";
import { damageModels, listKept } from "./storage.ts";
import { accuracyOf, makeStripes } from "./stripes.ts";
import type { Images } from "./stripes-parts.ts";
import { makePredictor, makeTrainer } from "./stripes-parts.ts";
import { tellAbout, watchUploads } from "./telling.ts";
import { loadTf } from "./tf.ts";

export interface StartOptions {
  readonly url: string;
  readonly token?: string;
  /** What the page trains on. */
  readonly images: Images;
  /** Where it computes. Default `worker`. */
  readonly where?: "page" | "worker";
  /** Keeps everything in IndexedDB, under this name, and heeds consent and conditions. */
  readonly device?: string;
  /** Training, or the upload, waits once it is begun until `letGo()`. */
  readonly hold?: "training" | "upload";
  /** This client's own limits. */
  readonly maxEpsilon?: number;
}

interface Running {
  readonly client: Client;
  readonly device: Device | undefined;
  readonly trainer: Trainer;
  readonly predictor: Predictor<PredictorInput, NestedNumbers[]>;
  readonly letGo: () => void;
}

let running: Running | undefined;
let participant: Participant | undefined;

const started = (): Running => {
  if (running === undefined) throw new Error("the page has not been started");
  return running;
};
const deviceOf = ({ device } = started()): Device => {
  if (device === undefined) throw new Error("the page was started without a device");
  return device;
};

/** Trainer and predictor; a Worker tells `tensors` after each training: how many it has then. */
async function computing(where: "page" | "worker", images: Images) {
  if (where === "page") {
    await loadTf();
    return { trainer: await makeTrainer(images), predictor: await makePredictor() };
  }
  const worker = new Worker(new URL("./training-worker.ts", import.meta.url), { type: "module" });
  const { trainer, predictor } = connectWorker<PredictorInput, NestedNumbers[]>(worker, {
    setup: images,
  });
  // The Worker's other messages are the app's own.
  worker.addEventListener("message", ({ data }: MessageEvent<{ numTensors?: number }>) => {
    if (data.numTensors !== undefined) tell("tensors", data.numTensors);
  });
  return { trainer, predictor };
}

export const functions = expose({
  start: async (options: StartOptions) => {
    const { url, token, images, where = "worker", hold, maxEpsilon } = options;
    const device =
      options.device === undefined ? undefined : await openDevice({ name: options.device });
    const gate = makeGate();
    const { trainer, predictor } = await computing(where, images);
    const kept: Partial<ClientOptions> = device?.clientOptions ?? {};
    const client = createClient({
      ...kept,
      url,
      ...(token === undefined ? {} : { token }),
      ...(maxEpsilon === undefined ? {} : { privacy: { ...kept.privacy, maxEpsilon } }),
      fetch: watchUploads(fetch, hold === "upload" ? gate.open : Promise.resolve()),
      backoff: { baseMs: 20, maxMs: 200 },
    });
    wakeWhenBack(client);
    running = {
      client,
      device,
      predictor,
      trainer: watchTraining(trainer, hold === "training" ? gate.open : Promise.resolve()),
      letGo: gate.letGo,
    };
  },
  /** Tells `state`, `paused`, `training`, `trained`, `sent`, `reported`, `closed`, `error`, `ended`. */
  join: (taskId: string, conditions: ConditionOptions = {}) => {
    const { client, device, trainer } = started();
    participant = client.join(taskId, {
      trainer,
      ...(device === undefined
        ? {}
        : { conditions: device.conditions(conditions), signal: device.signal }),
    });
    tellAbout(participant);
    return { state: participant.state, pausedBy: participant.pausedBy };
  },
  letGo: () => started().letGo(),
  /** How often the served model is right about images; `fresh`: the newest one, else whichever is ready. */
  accuracy: async (taskId: string, { seed, count }: Images, fresh = true) => {
    const { client, predictor } = started();
    const served = client.model(taskId, { predictor });
    served.on("error", ({ code, message }) => tell("servingError", { code, message }));
    try {
      await served.ready;
      if (fresh) await served.refresh();
      const { xs, ys } = makeStripes(seed, count);
      const rows = (await served.predict(xs)) as number[][];
      return { version: served.version, accuracy: accuracyOf(rows, ys) };
    } finally {
      await served.close();
    }
  },
  consent: () => deviceOf().consent.state,
  grant: () => deviceOf().consent.grant(),
  withdraw: () => deviceOf().consent.withdraw(),
  forgetMe: () => deviceOf().forgetMe(),
  spent: async (taskId: string) => started().client.privacy(taskId),
  listKept,
  damageModels: (device: string) => damageModels(`tributary:${device}`),
  pausedBy: () => participant?.pausedBy,
  pause: () => participant?.pause(),
  resume: () => participant?.resume(),
  leave: async () => participant?.leave(),
  close: async () => started().client.close(),
});
