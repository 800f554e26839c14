/** The network that page and Node clients share: small enough for a phone to train and to send. */

import type * as layers from "@tensorflow/tfjs-layers";

export const IMAGE_SIDE = 28;
export const IMAGE_PIXELS = IMAGE_SIDE * IMAGE_SIDE;
export const NUM_CLASSES = 10;
export const PARAMETER_COUNT = 54_314;

/** The same first weights everywhere; the coordinator's count. */
const SEED = 7;

/** What is used of `@tensorflow/tfjs-layers`; the umbrella has it, too. */
type Layers = Pick<typeof layers, "initializers" | "layers" | "sequential">;

/**
 * Builds it untrained on the active backend: images flat, [batch, 784], in [0, 1]; output softmax over ten
 * digits. Two 5 x 5 convolutions (8 and 16 channels), each with 2 x 2 max pooling, then 64 units.
 */
export function createDigitsModel({
  initializers,
  layers,
  sequential,
}: Layers): layers.LayersModel {
  const kernel = (n: number) => initializers.glorotUniform({ seed: SEED + n });
  const convolution = (name: string, filters: number, n: number) =>
    layers.conv2d({
      name,
      filters,
      kernelSize: 5,
      padding: "same",
      activation: "relu",
      kernelInitializer: kernel(n),
    });
  return sequential({
    name: "digits-small",
    layers: [
      layers.reshape({
        name: "image",
        inputShape: [IMAGE_PIXELS],
        targetShape: [IMAGE_SIDE, IMAGE_SIDE, 1],
      }),
      convolution("conv1", 8, 1),
      layers.maxPooling2d({ name: "pool1", poolSize: 2 }),
      convolution("conv2", 16, 2),
      layers.maxPooling2d({ name: "pool2", poolSize: 2 }),
      layers.flatten({ name: "flat" }),
      layers.dense({ name: "hidden", units: 64, activation: "relu", kernelInitializer: kernel(3) }),
      layers.dense({
        name: "digits",
        units: NUM_CLASSES,
        activation: "softmax",
        kernelInitializer: kernel(4),
      }),
    ],
  });
}
