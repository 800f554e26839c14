/** The Worker: trains on the drawings and predicts. The page itself never loads TensorFlow.js. */

import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import wasmUrl from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import plainWasmUrl from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import type { NestedNumbers, PredictorInput } from "@tributary/client-sdk/tfjs";
import {
  createTfjsPredictor,
  createTfjsTrainer,
  setFirstBackend,
} from "@tributary/client-sdk/tfjs";
import { serveWorker } from "@tributary/client-sdk/worker";

import { createDigitsModel, IMAGE_PIXELS } from "../../src/model.ts";
import { readDrawings } from "./drawings-database.ts";

const tf = { ...core, ...layers };

setWasmPaths({
  "tfjs-backend-wasm.wasm": plainWasmUrl,
  "tfjs-backend-wasm-simd.wasm": wasmUrl,
  // Never loaded: one thread is what trains fastest, and a page without isolation has no more.
  "tfjs-backend-wasm-threaded-simd.wasm": wasmUrl,
});

const backend = setFirstBackend(tf, [{ name: "wasm" }]);
// A failure is told to whoever asks for training or a prediction.
backend.catch(() => undefined);

/** All drawings as they are now: each training asks anew. */
async function readDataset() {
  const drawings = await readDrawings();
  const xs = new Uint8Array(drawings.length * IMAGE_PIXELS);
  drawings.forEach(({ pixels }, i) => xs.set(pixels, i * IMAGE_PIXELS));
  const ys = Uint8Array.from(drawings, ({ label }) => label);
  return { xs, scale: 1 / 255, ys, inputShape: [IMAGE_PIXELS] };
}

serveWorker<PredictorInput, NestedNumbers[]>({
  trainer: async () => {
    await backend;
    return createTfjsTrainer({ tf, model: () => createDigitsModel(layers), dataset: readDataset });
  },
  predictor: async () => {
    await backend;
    return createTfjsPredictor({ tf, model: () => createDigitsModel(layers), scale: 1 / 255 });
  },
});
