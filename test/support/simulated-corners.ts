/** Clients of a simulation that train with TF.js: three classes of points around three corners. */

import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { chooseBackend } from "@tributary/client-sdk/node";
import { createTfjsTrainer, describeModel } from "@tributary/client-sdk/tfjs";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import type { PopulationSource } from "@tributary/coordinator/simulation";

import { createRandom } from "./random.ts";

const tf = { ...core, ...layers };
/** As many as are in a round: a sum of two does not depend on their order. */
const CLIENTS = 2;

async function createCornersModel(seed: number) {
  await chooseBackend({ tf, prefer: "wasm" });
  const { glorotUniform } = tf.initializers;
  return tf.sequential({
    layers: [
      tf.layers.dense({
        ...{ inputShape: [4], units: 8, activation: "relu" },
        kernelInitializer: glorotUniform({ seed }),
      }),
      tf.layers.dense({
        ...{ units: 3, activation: "softmax" },
        kernelInitializer: glorotUniform({ seed: seed + 1 }),
      }),
    ],
  });
}

/** What a task of theirs says of the model. */
export const cornersTensors = async () =>
  (await describeModel(await createCornersModel(1))).tensors;

function corners(count: number, seed: number) {
  const { next } = createRandom(seed);
  const xs = new Float32Array(4 * count);
  const ys = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    ys[i] = i % 3;
    for (let d = 0; d < 4; d++) xs[4 * i + d] = (d === i % 3 ? 1 : 0) + 0.4 * (next() - 0.5);
  }
  return { xs, ys, inputShape: [4] };
}

export const clients: PopulationSource = async ({ seed }) => {
  const model = await createCornersModel(seed);
  const { initialWeights } = await describeModel(model);
  return {
    size: CLIENTS,
    trainer: (index) => createTfjsTrainer({ tf, model, dataset: corners(30, index), seed: index }),
    evaluator: createTfjsEvaluator({ tf, model, dataset: corners(60, 99) }),
    initialWeights,
  };
};
