/** Virtual clients in one process: one backend and one model for all, one connection for each. */

import * as tf from "@tensorflow/tfjs";
import type { Client } from "@tributary/client-sdk";
import { createClient } from "@tributary/client-sdk";
import { createTfjsTrainer } from "@tributary/client-sdk/tfjs";

import type { BackendChoice } from "./backend.ts";
import { prepareBackend } from "./backend.ts";
import { IMAGE_PIXELS, loadMnist, selectExamples } from "./data.ts";
import type { DigitsJob } from "./job.ts";
import { clientKeyOf, partitionFor } from "./job.ts";
import { createModel } from "./model.ts";

export interface FleetOptions {
  readonly job: DigitsJob;
  /** Where the coordinator is. */
  readonly url: string;
  /** Takes clients `share`, `share + shares`, …: 0 <= share < shares. */
  readonly share: number;
  readonly shares: number;
  readonly backend?: BackendChoice;
  /** What went wrong and is being mended, in words. */
  readonly onTrouble?: (message: string) => void;
}

export interface Fleet {
  readonly clients: number;
  /** TF.js backend that trains. */
  readonly backend: string;
  /** Resolves when every client's participation has ended. */
  readonly done: Promise<void>;
  close(): Promise<void>;
}

/** Loads the images, deals them, and lets this share of the clients take part. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { job, url, share, shares } = options;
  const backend = await prepareBackend(tf, options.backend);
  const { train } = await loadMnist();
  const partition = await partitionFor(job, train);
  const model = createModel(tf, job.model, job.seed);
  const clients: Client[] = [];
  const ends: Promise<unknown>[] = [];

  for (let index = share; index < partition.length; index += shares) {
    const { pixels, labels } = selectExamples(train, partition[index] ?? []);
    const trainer = createTfjsTrainer({
      tf,
      model,
      dataset: { xs: pixels, scale: 1 / 255, ys: labels, inputShape: [IMAGE_PIXELS] },
      seed: mixSeeds(job.seed, index),
    });
    const client = createClient({ url, clientKey: clientKeyOf(job, index) });
    const participant = client.join(job.taskId, { trainer });
    participant.on("error", (error) =>
      options.onTrouble?.(`client ${index}: ${error.code}: ${error.message}`),
    );
    clients.push(client);
    ends.push(participant.done);
  }

  let closing: Promise<void> | undefined;
  const close = async () => {
    await Promise.all(clients.map((client) => client.close()));
    model.dispose();
  };
  return {
    clients: clients.length,
    backend,
    done: Promise.all(ends).then(() => undefined),
    close: () => (closing ??= close()),
  };
}

/** A seed of its own for each client, so that no two shuffle alike. */
const mixSeeds = (seed: number, index: number) => seed * 100_003 + index;
