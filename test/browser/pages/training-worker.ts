/** The Worker of the training page. */

import { serveWorker } from "@tributary/client-sdk/worker";

import type { Images } from "./stripes-parts.ts";
import { makePredictor, makeTrainer } from "./stripes-parts.ts";
import { loadTf } from "./tf.ts";

serveWorker({
  trainer: async (images: Images) => {
    const tf = await loadTf();
    const trainer = await makeTrainer(images);
    return {
      ...trainer,
      train: async (request) => {
        const result = await trainer.train(request);
        // A message of the app's own, beside the SDK's.
        postMessage({ numTensors: tf.memory().numTensors });
        return result;
      },
    };
  },
  predictor: makePredictor,
});
