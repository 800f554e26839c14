/** A page that trains and predicts on its main thread. */

import { createClient } from "@tributary/client-sdk";
import type { Client, Participant } from "@tributary/client-sdk";
import { createTfjsPredictor, createTfjsTrainer } from "@tributary/client-sdk/tfjs";

import { expose, tell } from "./expose.ts";
import { accuracyOf, makeModel, makeStripes } from "./stripes.ts";
import { tellAbout, watchUploads } from "./telling.ts";
import { loadTf } from "./tf.ts";

export interface StartOptions {
  readonly url: string;
  readonly taskId: string;
  readonly token?: string;
  /** Of the images it trains on. */
  readonly seed: number;
  readonly count: number;
}

let client: Client | undefined;
let participant: Participant | undefined;

const requireClient = () => {
  if (client === undefined) throw new Error("the page has no client yet");
  return client;
};

export const functions = expose({
  /** Joins the task; tells `state`, `reported`, `closed`, `error`, `ended`, and `sent` with each update's bytes. */
  join: async ({ url, taskId, token, seed, count }: StartOptions) => {
    const tf = await loadTf();
    client ??= createClient({
      url,
      ...(token === undefined ? {} : { token }),
      fetch: watchUploads(fetch),
      backoff: { baseMs: 20, maxMs: 200 },
    });
    participant = client.join(taskId, {
      trainer: createTfjsTrainer({
        tf,
        model: () => makeModel(tf),
        dataset: makeStripes(seed, count),
      }),
    });
    tellAbout(participant);
    return { backend: tf.getBackend() };
  },
  /** How often the newest published model is right about `count` images of another seed. */
  accuracy: async (taskId: string, seed: number, count: number) => {
    const tf = await loadTf();
    const served = requireClient().model(taskId, {
      predictor: createTfjsPredictor({ tf, model: () => makeModel(tf) }),
    });
    try {
      await served.ready;
      await served.refresh();
      const { xs, ys } = makeStripes(seed, count);
      const rows = (await served.predict(xs)) as number[][];
      return { version: served.version, accuracy: accuracyOf(rows, ys) };
    } finally {
      await served.close();
    }
  },
  pause: () => participant?.pause(),
  resume: () => participant?.resume(),
  leave: async () => participant?.leave(),
  close: async () => {
    await client?.close();
    tell("closedClient");
  },
});
