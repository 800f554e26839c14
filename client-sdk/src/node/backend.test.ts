import { createLayout } from "@tributary/protocol";
import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import type * as umbrellaTypes from "@tensorflow/tfjs";
import { expect, test } from "vitest";

import type { TensorFlow } from "../tfjs/tensorflow.ts";
import { createTfjsTrainer } from "../tfjs/tfjs-trainer.ts";
import { describeModel } from "../tfjs/weights.ts";
import { chooseBackend } from "./backend.ts";

const tf = { ...core, ...layers };
/** The same weights each time: with some others all filters are dead, and nothing would be learned. */
const startingFrom = (seed: number) => layers.initializers.glorotUniform({ seed });

test("[TF41] Node takes libtensorflow, else wasm, and never cpu without saying why", async () => {
  const said: string[] = [];
  const choice = await chooseBackend({ tf, log: (reason) => said.push(reason) });
  expect(choice.tf).toBe(tf);
  expect(said).toEqual([choice.reason]);
  expect(core.getBackend()).toBe(choice.backend);
  if (choice.backend === "tensorflow") {
    expect(choice.reason).toBe("tensorflow computes");
  } else {
    expect(choice.reason).toMatch(/^wasm computes \(tensorflow was not taken: .+\)$/);
  }
});

test("[TF41] a preferred backend is taken or the choice fails: none takes its place", async () => {
  expect(await chooseBackend({ tf, prefer: "cpu" })).toMatchObject({
    backend: "cpu",
    reason: "cpu computes",
  });
  const native = chooseBackend({ tf, prefer: "tensorflow" }).then(
    ({ backend }) => backend,
    (error: unknown) => (error as { code: string }).code,
  );
  expect(["tensorflow", "UNAVAILABLE"]).toContain(await native);
});

test("[TF41] wasm runs on one thread and trains convolutions", async () => {
  await chooseBackend({ tf, prefer: "wasm" });
  expect(core.env().getBool("WASM_HAS_MULTITHREAD_SUPPORT")).toBe(false);
  const learned = await learn(tf, (make) => [
    make.conv2d({
      ...{ inputShape: [6, 6, 1], filters: 4, kernelSize: 3, activation: "relu" },
      kernelInitializer: startingFrom(1),
    }),
    make.maxPooling2d({ poolSize: 2 }),
    make.flatten(),
  ]);
  expect(learned.after).toBeLessThan(0.5 * learned.before);
});

test("[TF42] the umbrella package passed in trains just the same", async () => {
  const umbrella: typeof umbrellaTypes = await import("@tensorflow/tfjs");
  const choice = await chooseBackend({ tf: umbrella, prefer: "wasm" });
  expect(choice.tf).toBe(umbrella);
  const learned = await learn(umbrella, (make) => [
    make.reshape({ inputShape: [6, 6, 1], targetShape: [6, 6] }),
    make.lstm({ units: 6 }),
  ]);
  expect(learned.after).toBeLessThan(0.5 * learned.before);
});

/** Trains on images whose left or right half is lit; loss in the first and the last epoch. */
async function learn(
  tf: TensorFlow & Pick<typeof layers, "layers" | "sequential">,
  first: (make: typeof layers.layers) => layers.layers.Layer[],
) {
  const xs = Float32Array.from({ length: 20 * 36 }, (_, i) => {
    const isRight = i % 6 >= 3;
    const lit = Math.floor(i / 36) % 2 === 1;
    return (isRight === lit ? 1 : 0) + 0.1 * Math.sin(i);
  });
  const ys = Uint8Array.from({ length: 20 }, (_, i) => i % 2);
  const output = tf.layers.dense({
    ...{ units: 1, activation: "sigmoid" },
    kernelInitializer: startingFrom(2),
  });
  const model = tf.sequential({ layers: [...first(tf.layers), output] });
  const { tensors, initialWeights } = await describeModel(model);
  const trainer = createTfjsTrainer({
    tf,
    model,
    dataset: { xs, ys, inputShape: [6, 6, 1] },
    loss: "binaryCrossEntropy",
  });
  const losses: number[] = [];
  await trainer.train({
    weights: initialWeights,
    layout: await createLayout(tensors),
    plan: {
      epochs: 40,
      batchSize: 5,
      learningRate: 0.02,
      optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
      proximalMu: 0,
      evaluate: false,
      encoding: { kind: "float32" },
      compression: "none",
      seed: 3,
    },
    signal: new AbortController().signal,
    onProgress: ({ batch, batches, loss }) => batch === batches && losses.push(loss),
  });
  return { before: losses[0]!, after: losses.at(-1)! };
}
