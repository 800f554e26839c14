/** What the benchmark trains, the same in a page, in a Worker and in Node: a model, made-up images, a trainer. */

import type * as tensorflow from "@tensorflow/tfjs";
import type { Trainer } from "@tributary/client-sdk";
import type { TensorFlow } from "@tributary/client-sdk/tfjs";
import { createTfjsTrainer } from "@tributary/client-sdk/tfjs";

import { createModel } from "../../../../examples/digits/src/model.ts";

export type ModelName = "mlp" | "cnn" | "1M" | "10M";

export interface Workload {
  readonly model: ModelName;
  /** Images on this client, of 784 bytes each. */
  readonly examples: number;
}

export type Tf = TensorFlow & typeof tensorflow;

/** Hidden units of dense models that have about as many parameters as their name says. */
const UNITS: Readonly<Record<"1M" | "10M", readonly number[]>> = {
  "1M": [1_000, 210],
  "10M": [3_072, 2_432],
};

export function buildModel(tf: Tf, model: ModelName): tensorflow.LayersModel {
  if (model === "mlp" || model === "cnn") return createModel(tf, model, 1);
  const { layers } = tf;
  const hidden = UNITS[model].map((units, i) =>
    layers.dense({ units, activation: "relu", ...(i === 0 ? { inputShape: [784] } : {}) }),
  );
  return tf.sequential({ layers: [...hidden, layers.dense({ units: 10, activation: "softmax" })] });
}

export function makeTrainer(tf: Tf, { model, examples }: Workload): Trainer {
  const xs = new Uint8Array(examples * 784);
  let state = 1;
  for (let i = 0; i < xs.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    xs[i] = state >>> 24;
  }
  return createTfjsTrainer({
    tf,
    model: () => buildModel(tf, model),
    dataset: {
      xs,
      ys: Uint8Array.from({ length: examples }, (_, i) => i % 10),
      inputShape: [784],
      scale: 1 / 255,
    },
    seed: 1,
  });
}
