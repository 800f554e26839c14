/** A task small enough for every test: stripes that lie, stand or lean, in noise, and a CNN that tells them apart. */

import type * as tensorflow from "@tensorflow/tfjs-core";
import type * as layers from "@tensorflow/tfjs-layers";
import type { Dataset } from "@tributary/client-sdk/tfjs";

import { createRandom } from "../../support/random.ts";

export type Tf = Omit<typeof tensorflow, "default"> & Omit<typeof layers, "default">;

export const SIDE = 8;
export const CLASSES = 3;

/** Convolution, pooling and a dense layer: every kernel that the wasm backend gets from the SDK. */
export function makeModel(tf: Tf): layers.LayersModel {
  const { glorotUniform } = tf.initializers;
  return tf.sequential({
    layers: [
      tf.layers.conv2d({
        name: "edges",
        inputShape: [SIDE, SIDE, 1],
        filters: 4,
        kernelSize: 3,
        padding: "same",
        activation: "relu",
        kernelInitializer: glorotUniform({ seed: 11 }),
      }),
      tf.layers.maxPooling2d({ name: "pool", poolSize: 2 }),
      tf.layers.flatten({ name: "flat" }),
      tf.layers.dense({
        name: "class",
        units: CLASSES,
        activation: "softmax",
        kernelInitializer: glorotUniform({ seed: 12 }),
      }),
    ],
  });
}

/** `count` images of one person, the same for the same seed. */
export function makeStripes(
  seed: number,
  count: number,
): Dataset & { readonly xs: Float32Array; readonly ys: Int32Array } {
  const random = createRandom(seed);
  const xs = new Float32Array(count * SIDE * SIDE);
  const ys = new Int32Array(count);
  for (let example = 0; example < count; example++) {
    const label = random.below(CLASSES);
    const phase = random.below(4);
    ys[example] = label;
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const along = label === 0 ? row : label === 1 ? column : row + column;
        const stripe = (along + phase) % 4 < 2 ? 0.7 : 0.3;
        xs[(example * SIDE + row) * SIDE + column] = stripe + 0.4 * (random.next() - 0.5);
      }
    }
  }
  return { xs, ys, inputShape: [SIDE, SIDE, 1] };
}

/** Of rows of probabilities: the share whose greatest is the label's. */
export function accuracyOf(rows: readonly (readonly number[])[], labels: Int32Array): number {
  const right = rows.filter((row, i) => row.indexOf(Math.max(...row)) === labels[i]);
  return right.length / labels.length;
}
