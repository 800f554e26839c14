/** Trainer and predictor of the stripes, for a page and for a Worker. */

import type { Predictor, Trainer } from "@tributary/client-sdk";
import type { NestedNumbers, PredictorInput } from "@tributary/client-sdk/tfjs";
import { createTfjsPredictor, createTfjsTrainer } from "@tributary/client-sdk/tfjs";

import { makeModel, makeStripes } from "./stripes.ts";
import { loadTf } from "./tf.ts";

/** Which images: `count` of them, made from `seed`. */
export interface Images {
  readonly seed: number;
  readonly count: number;
}

export async function makeTrainer({ seed, count }: Images): Promise<Trainer> {
  const tf = await loadTf();
  return createTfjsTrainer({ tf, model: () => makeModel(tf), dataset: makeStripes(seed, count) });
}

export async function makePredictor(): Promise<Predictor<PredictorInput, NestedNumbers[]>> {
  const tf = await loadTf();
  return createTfjsPredictor({ tf, model: () => makeModel(tf) });
}
