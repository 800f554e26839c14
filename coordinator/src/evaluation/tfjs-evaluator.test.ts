import { createLayout } from "@tributary/protocol";
import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { expect, test } from "vitest";

import { createTfjsEvaluator, type TfjsEvaluatorOptions } from "./tfjs-evaluator.ts";

const tf = { ...core, ...layers };
const loadTf = async () => {
  await import("@tensorflow/tfjs-backend-cpu");
  await tf.setBackend("cpu");
  return tf;
};

/** Two inputs, two classes: with the identity as its kernel, the larger input wins. */
const build = () =>
  tf.sequential({
    layers: [tf.layers.dense({ inputShape: [2], units: 2, activation: "softmax", useBias: false })],
  });
const layout = await createLayout([{ name: "0.kernel", shape: [2, 2] }]);
const identity = Float32Array.of(1, 0, 0, 1);
const dataset = {
  xs: Uint8Array.of(200, 0, 0, 200, 200, 100, 0, 100),
  scale: 0.01,
  ys: Uint8Array.of(0, 1, 1, 1),
  inputShape: [2],
};
const never = new AbortController().signal;

const evaluator = (options: Partial<TfjsEvaluatorOptions> = {}) =>
  createTfjsEvaluator({ tf: loadTf, model: build, dataset, ...options });

test("[EV5] a central evaluation gives loss, accuracy, and precision, recall and F1 per class", async () => {
  const result = await evaluator({ batchSize: 3 }).evaluate(identity, layout, never);
  const loss = (margin: number) => Math.log(1 + Math.exp(-margin));
  expect(result).toMatchObject({
    source: "central",
    numExamples: 4,
    loss: expect.closeTo((loss(2) + loss(2) + loss(-1) + loss(1)) / 4, 5),
    accuracy: 0.75,
    perClass: [
      { precision: 0.5, recall: 1, f1: expect.closeTo(2 / 3, 10), support: 1 },
      { precision: 1, recall: expect.closeTo(2 / 3, 10), f1: expect.closeTo(0.8, 10), support: 3 },
    ],
  });
  expect(result.macro!.f1).toBeCloseTo((2 / 3 + 0.8) / 2, 10);
});

test("[EV5] the given weights are the ones judged, whatever was judged before", async () => {
  const one = evaluator();
  const swapped = Float32Array.of(0, 1, 1, 0);
  const results = await Promise.all([
    one.evaluate(identity, layout, never),
    one.evaluate(swapped, layout, never),
    one.evaluate(identity, layout, never),
  ]);
  expect(results.map(({ accuracy }) => accuracy)).toEqual([0.75, 0.25, 0.75]);
  expect(identity).toEqual(Float32Array.of(1, 0, 0, 1));
});

test("[EV6] TensorFlow.js is loaded at the first evaluation, once, and again only after a failure", async () => {
  let loads = 0;
  const one = evaluator({
    tf: () => {
      if (++loads === 1) return Promise.reject(new Error("not installed"));
      return loadTf();
    },
  });
  expect(loads).toBe(0);
  await expect(one.evaluate(identity, layout, never)).rejects.toThrow("not installed");
  await one.evaluate(identity, layout, never);
  await one.evaluate(identity, layout, never);
  expect(loads).toBe(2);
});

test("[EV7] an evaluation stops between two batches when its signal aborts", async () => {
  const controller = new AbortController();
  const many = { ...dataset, xs: new Uint8Array(20_000), ys: new Uint8Array(10_000) };
  const running = evaluator({ dataset: many, batchSize: 1 }).evaluate(
    identity,
    layout,
    controller.signal,
  );
  // The event loop gets its turn during the evaluation, or this timer would come after its end.
  setTimeout(() => controller.abort(), 20);
  await expect(running).rejects.toMatchObject({ code: "ABORTED" });
});

test("[EV8] an evaluation, a failure and an abort leave no tensor behind", async () => {
  const one = evaluator();
  await one.evaluate(identity, layout, never);
  const before = tf.memory().numTensors;
  await one.evaluate(identity, layout, never);
  await expect(one.evaluate(identity, layout, AbortSignal.abort())).rejects.toMatchObject({
    code: "ABORTED",
  });
  const infinite = Float32Array.of(NaN, 0, 0, 1);
  await expect(one.evaluate(infinite, layout, never)).rejects.toThrow(/not finite/);
  expect(tf.memory().numTensors).toBe(before);
});

test("[EV9] another architecture and a test set that does not fit are refused with both sizes", async () => {
  const other = await createLayout([{ name: "0.kernel", shape: [4, 1] }]);
  await expect(evaluator().evaluate(identity, other, never)).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringMatching(/\[4, 1\].*\[2, 2\]/),
  });
  const short = { ...dataset, ys: Uint8Array.of(0, 1, 1) };
  await expect(
    evaluator({ dataset: short }).evaluate(identity, layout, never),
  ).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
