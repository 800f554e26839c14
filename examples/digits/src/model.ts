/** The two models of McMahan et al. 2017, section 3: the 2NN and the CNN, as TF.js layers models. */

import type * as tf from "@tensorflow/tfjs";

import { IMAGE_PIXELS, IMAGE_SIDE, NUM_CLASSES } from "./data.ts";

export type ModelKind = "mlp" | "cnn";

type Tf = typeof tf;

export const PARAMETER_COUNTS: Readonly<Record<ModelKind, number>> = {
  mlp: 199_210,
  cnn: 1_663_370,
};

/**
 * Builds an untrained model on the active backend: images flat, [batch, 784], in [0, 1]; output
 * softmax over ten digits. Glorot-uniform kernels and zero biases, the same for the same seed.
 */
export function createModel(tf: Tf, kind: ModelKind, seed: number): tf.LayersModel {
  return kind === "mlp" ? createMlp(tf, seed) : createCnn(tf, seed);
}

function createMlp(tf: Tf, seed: number): tf.LayersModel {
  const { glorotUniform } = tf.initializers;
  return tf.sequential({
    name: "digits-2nn",
    layers: [
      tf.layers.dense({
        name: "hidden1",
        units: 200,
        activation: "relu",
        inputShape: [IMAGE_PIXELS],
        kernelInitializer: glorotUniform({ seed: seed + 1 }),
      }),
      tf.layers.dense({
        name: "hidden2",
        units: 200,
        activation: "relu",
        kernelInitializer: glorotUniform({ seed: seed + 2 }),
      }),
      tf.layers.dense({
        name: "digits",
        units: NUM_CLASSES,
        activation: "softmax",
        kernelInitializer: glorotUniform({ seed: seed + 3 }),
      }),
    ],
  });
}

/** Two 5 x 5 convolutions (32, 64 channels), each with 2 x 2 max pooling, then 512 units. */
function createCnn(tf: Tf, seed: number): tf.LayersModel {
  const { glorotUniform } = tf.initializers;
  return tf.sequential({
    name: "digits-cnn",
    layers: [
      tf.layers.reshape({
        name: "image",
        inputShape: [IMAGE_PIXELS],
        targetShape: [IMAGE_SIDE, IMAGE_SIDE, 1],
      }),
      tf.layers.conv2d({
        name: "conv1",
        filters: 32,
        kernelSize: 5,
        padding: "same",
        activation: "relu",
        kernelInitializer: glorotUniform({ seed: seed + 1 }),
      }),
      tf.layers.maxPooling2d({ name: "pool1", poolSize: 2 }),
      tf.layers.conv2d({
        name: "conv2",
        filters: 64,
        kernelSize: 5,
        padding: "same",
        activation: "relu",
        kernelInitializer: glorotUniform({ seed: seed + 2 }),
      }),
      tf.layers.maxPooling2d({ name: "pool2", poolSize: 2 }),
      tf.layers.flatten({ name: "flat" }),
      tf.layers.dense({
        name: "hidden",
        units: 512,
        activation: "relu",
        kernelInitializer: glorotUniform({ seed: seed + 3 }),
      }),
      tf.layers.dense({
        name: "digits",
        units: NUM_CLASSES,
        activation: "softmax",
        kernelInitializer: glorotUniform({ seed: seed + 4 }),
      }),
    ],
  });
}
