/** Logistic regression on 13 features: weights w[0 … 12] and bias w[13] in one vector. */

import type { Patient } from "./heart-disease.ts";
import { FEATURES } from "./heart-disease.ts";
import type { MersenneTwister } from "./mersenne-twister.ts";
import { createMersenneTwister } from "./mersenne-twister.ts";

export const TENSORS = [
  { name: "weights", shape: [FEATURES.length] },
  { name: "bias", shape: [1] },
] as const;

const SIZE = FEATURES.length + 1;

/**
 * First weights of one of FLamby's runs: uniform in ±1 / sqrt(13), as `torch.nn.Linear(13, 1)` draws
 * them after `torch.manual_seed(seed)`. Fifteen short rounds leave much of them in the result, so that
 * published figures can only be compared from the same start.
 */
export function initialWeights(seed: number): Float32Array<ArrayBuffer> {
  const random = createMersenneTwister(seed);
  const bound = 1 / Math.sqrt(FEATURES.length);
  return Float32Array.from({ length: SIZE }, () => random.uniform() * 2 * bound - bound);
}

function logit(weights: ArrayLike<number>, { features }: Patient): number {
  let sum = weights[FEATURES.length] as number;
  for (let j = 0; j < features.length; j++) {
    sum += (weights[j] as number) * (features[j] as number);
  }
  return sum;
}

/** Mean binary cross-entropy of a batch, and its gradient added to `gradient`. */
export function addGradient(
  weights: ArrayLike<number>,
  batch: readonly Patient[],
  gradient: Float64Array,
): number {
  let loss = 0;
  for (const patient of batch) {
    const z = logit(weights, patient);
    // log(1 + e^z) - y z, without overflow for a large |z|.
    loss += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - patient.label * z;
    const error = (1 / (1 + Math.exp(-z)) - patient.label) / batch.length;
    for (let j = 0; j < FEATURES.length; j++) {
      gradient[j] = (gradient[j] as number) + error * (patient.features[j] as number);
    }
    gradient[FEATURES.length] = (gradient[FEATURES.length] as number) + error;
  }
  return loss / batch.length;
}

/** Share of patients whose label is the more probable one. */
export function accuracy(weights: ArrayLike<number>, patients: readonly Patient[]): number {
  const correct = patients.filter(
    (patient) => (logit(weights, patient) > 0 ? 1 : 0) === patient.label,
  );
  return correct.length / patients.length;
}

/** Endless batches: every patient once in random order, then all again in another order. */
export interface BatchStream {
  next(): readonly Patient[];
}

export function createBatchStream(
  patients: readonly Patient[],
  batchSize: number,
  random: MersenneTwister,
): BatchStream {
  let order: readonly number[] = [];
  let at = 0;
  return {
    next: () => {
      if (at >= order.length) {
        order = random.permutation(patients.length);
        at = 0;
      }
      const batch = order.slice(at, at + batchSize).map((i) => patients[i] as Patient);
      at += batchSize;
      return batch;
    },
  };
}

/** One run of Adam (Kingma and Ba 2015) from `start`: FLamby's training without federation. */
export function trainAdam(
  start: ArrayLike<number>,
  patients: readonly Patient[],
  plan: { readonly epochs: number; readonly batchSize: number; readonly learningRate: number },
  seed: number,
): Float64Array {
  const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];
  const weights = Float64Array.from(start);
  const first = new Float64Array(SIZE);
  const second = new Float64Array(SIZE);
  const stream = createBatchStream(patients, plan.batchSize, createMersenneTwister(seed));
  const steps = plan.epochs * Math.ceil(patients.length / plan.batchSize);
  for (let step = 1; step <= steps; step++) {
    const gradient = new Float64Array(SIZE);
    addGradient(weights, stream.next(), gradient);
    for (let j = 0; j < SIZE; j++) {
      const g = gradient[j] as number;
      const m = (first[j] = beta1 * (first[j] as number) + (1 - beta1) * g);
      const v = (second[j] = beta2 * (second[j] as number) + (1 - beta2) * g * g);
      const root = Math.sqrt(v / (1 - beta2 ** step)) + epsilon;
      weights[j] = (weights[j] as number) - (plan.learningRate * m) / (1 - beta1 ** step) / root;
    }
  }
  return weights;
}
