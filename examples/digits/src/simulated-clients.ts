/** The digits' clients for a simulation: `tributary simulate <task> --clients examples/digits/dist/simulated-clients.js`. */

import * as tf from "@tensorflow/tfjs";
import { createTfjsTrainer, describeModel } from "@tributary/client-sdk/tfjs";
import { createTfjsEvaluator } from "@tributary/coordinator/evaluation";
import type { PopulationSource } from "@tributary/coordinator/simulation";

import { prepareBackend } from "./backend.ts";
import { IMAGE_PIXELS, loadMnist, selectExamples } from "./data.ts";
import { createModel } from "./model.ts";
import { partitionImages } from "./partition.ts";
import { createSeededRandom } from "./random.ts";

/** 300 images each, with a few digits in most of them. */
export const SIMULATED_CLIENTS = 200;

/** Images, model and backend are every client's; what a trainer needs beside them are its own 300 images. */
export const clients: PopulationSource = async ({ seed }) => {
  await prepareBackend(tf);
  const { train, test } = await loadMnist();
  const deal = { kind: "dirichlet", alpha: 0.5 } as const;
  const random = createSeededRandom(seed, 1);
  const partition = partitionImages(train.labels, SIMULATED_CLIENTS, deal, random);
  const model = createModel(tf, "mlp", seed);
  const { initialWeights } = await describeModel(model);
  const asInput = { scale: 1 / 255, inputShape: [IMAGE_PIXELS] };
  return {
    size: SIMULATED_CLIENTS,
    trainer: (index) => {
      const { pixels, labels } = selectExamples(train, partition[index] ?? []);
      return createTfjsTrainer({
        ...{ tf, model, seed: index },
        dataset: { xs: pixels, ys: labels, ...asInput },
      });
    },
    evaluator: createTfjsEvaluator({
      ...{ tf, model },
      dataset: { xs: test.pixels, ys: test.labels, ...asInput },
    }),
    initialWeights,
  };
};
