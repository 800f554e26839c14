/** A small network for digits, trained in plain TypeScript: 784 pixels, 32 ReLU units, 10 classes, cross-entropy, SGD. */

import type { LabelledImages } from "@tributary/example-digits";

const PIXELS = 784;
const HIDDEN = 32;
const CLASSES = 10;
const BIAS1 = PIXELS * HIDDEN;
const WEIGHT2 = BIAS1 + HIDDEN;
const BIAS2 = WEIGHT2 + HIDDEN * CLASSES;
export const PARAMETERS = BIAS2 + CLASSES;

export interface LearnerSettings {
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/** Glorot and Bengio 2010. @param uniform numbers in [0, 1) */
export function firstWeights(uniform: () => number): Float32Array {
  const weights = new Float32Array(PARAMETERS);
  const fill = (from: number, to: number, fan: number) => {
    const reach = Math.sqrt(6 / fan);
    for (let i = from; i < to; i++) weights[i] = (2 * uniform() - 1) * reach;
  };
  fill(0, BIAS1, PIXELS + HIDDEN);
  fill(WEIGHT2, BIAS2, HIDDEN + CLASSES);
  return weights;
}

interface Pass {
  readonly hidden: Float64Array;
  readonly scores: Float64Array;
}

/** Four of five pixels are background, which costs nothing. */
function forward(weights: Float32Array, images: LabelledImages, index: number, pass: Pass): void {
  const { hidden, scores } = pass;
  for (let h = 0; h < HIDDEN; h++) hidden[h] = weights[BIAS1 + h] as number;
  const from = index * PIXELS;
  for (let p = 0; p < PIXELS; p++) {
    const pixel = (images.pixels[from + p] as number) / 255;
    if (pixel === 0) continue;
    const row = p * HIDDEN;
    for (let h = 0; h < HIDDEN; h++) {
      hidden[h] = (hidden[h] as number) + pixel * (weights[row + h] as number);
    }
  }
  for (let c = 0; c < CLASSES; c++) scores[c] = weights[BIAS2 + c] as number;
  for (let h = 0; h < HIDDEN; h++) {
    const active = Math.max(0, hidden[h] as number);
    hidden[h] = active;
    if (active === 0) continue;
    const row = WEIGHT2 + h * CLASSES;
    for (let c = 0; c < CLASSES; c++) {
      scores[c] = (scores[c] as number) + active * (weights[row + c] as number);
    }
  }
}

const newPass = (): Pass => ({
  hidden: new Float64Array(HIDDEN),
  scores: new Float64Array(CLASSES),
});

/** Share of the first `count` images whose digit it tells. */
export function accuracyOf(weights: Float32Array, images: LabelledImages, count: number): number {
  const pass = newPass();
  let right = 0;
  for (let i = 0; i < count; i++) {
    forward(weights, images, i, pass);
    let best = 0;
    for (let c = 1; c < CLASSES; c++) {
      if ((pass.scores[c] as number) > (pass.scores[best] as number)) best = c;
    }
    // NaN is never the largest, and never right.
    if (best === images.labels[i] && !Number.isNaN(pass.scores[best])) right += 1;
  }
  return right / count;
}

/**
 * trained - received, after some epochs on these examples.
 * @param labelOf what the client takes an image's digit for
 */
export function trainDelta(
  received: Float32Array,
  images: LabelledImages,
  examples: readonly number[],
  settings: LearnerSettings,
  uniform: () => number,
  labelOf: (digit: number) => number,
): Float32Array {
  const weights = received.slice();
  const order = [...examples];
  const gradient = new Float32Array(PARAMETERS);
  const pass = newPass();
  const upstream = new Float64Array(HIDDEN);
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    shuffle(order, uniform);
    for (let start = 0; start < order.length; start += settings.batchSize) {
      const batch = order.slice(start, start + settings.batchSize);
      gradient.fill(0);
      for (const index of batch) {
        forward(weights, images, index, pass);
        backward(weights, images, index, pass, gradient, upstream, labelOf);
      }
      const step = settings.learningRate / batch.length;
      for (let i = 0; i < PARAMETERS; i++) {
        weights[i] = (weights[i] as number) - step * (gradient[i] as number);
      }
    }
  }
  for (let i = 0; i < PARAMETERS; i++) {
    weights[i] = (weights[i] as number) - (received[i] as number);
  }
  return weights;
}

function backward(
  weights: Float32Array,
  images: LabelledImages,
  index: number,
  { hidden, scores }: Pass,
  gradient: Float32Array,
  upstream: Float64Array,
  labelOf: (digit: number) => number,
): void {
  const most = Math.max(...scores);
  let total = 0;
  for (let c = 0; c < CLASSES; c++) total += scores[c] = Math.exp((scores[c] as number) - most);
  const label = labelOf(images.labels[index] as number);
  for (let c = 0; c < CLASSES; c++) {
    const error = (scores[c] as number) / total - (c === label ? 1 : 0);
    scores[c] = error;
    gradient[BIAS2 + c] = (gradient[BIAS2 + c] as number) + error;
  }
  for (let h = 0; h < HIDDEN; h++) {
    const active = hidden[h] as number;
    let sum = 0;
    if (active > 0) {
      const row = WEIGHT2 + h * CLASSES;
      for (let c = 0; c < CLASSES; c++) {
        const error = scores[c] as number;
        sum += error * (weights[row + c] as number);
        gradient[row + c] = (gradient[row + c] as number) + error * active;
      }
      gradient[BIAS1 + h] = (gradient[BIAS1 + h] as number) + sum;
    }
    upstream[h] = sum;
  }
  const from = index * PIXELS;
  for (let p = 0; p < PIXELS; p++) {
    const pixel = (images.pixels[from + p] as number) / 255;
    if (pixel === 0) continue;
    const row = p * HIDDEN;
    for (let h = 0; h < HIDDEN; h++) {
      gradient[row + h] = (gradient[row + h] as number) + pixel * (upstream[h] as number);
    }
  }
}

export function shuffle(values: unknown[], uniform: () => number): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [values[i], values[j]] = [values[j], values[i]];
  }
}
