import { createLayout } from "@tributary/protocol";
import * as umbrella from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { beforeAll, expect, test } from "vitest";

import { chooseBackend } from "../node/backend.ts";
import { createTfjsPredictor } from "./tfjs-predictor.ts";
import { tensorSpecsOf } from "./weights.ts";

const tf = { ...umbrella, ...layers };
beforeAll(async () => {
  await chooseBackend({ tf, prefer: "cpu" });
});

/** y = w x, per row. */
const build = () =>
  tf.sequential({
    layers: [tf.layers.dense({ inputShape: [2], units: 1, useBias: false })],
  });

async function setUp(scale?: number) {
  const layout = await createLayout(tensorSpecsOf(build()));
  const predictor = createTfjsPredictor({ tf, model: build, ...(scale && { scale }) });
  return {
    layout,
    load: (...weights: number[]) => predictor.load(Float32Array.from(weights), layout),
  };
}

test("[TF30] a loaded model predicts rows in order, from nested and from flat input", async () => {
  const { load } = await setUp();
  const model = await load(1, 10);
  expect(
    await model.predict([
      [1, 2],
      [3, 4],
    ]),
  ).toEqual([[21], [43]]);
  expect(await model.predict(Uint8Array.of(1, 2, 3, 4))).toEqual([[21], [43]]);
  expect(await model.predict([])).toEqual([]);
  const scaled = await (await setUp(0.5)).load(1, 10);
  expect(await scaled.predict([[2, 4]])).toEqual([[21]]);
});

test("[TF31] each load stands alone: predictions on the old model survive the swap and its disposal", async () => {
  const { load } = await setUp();
  const old = await load(1, 1);
  const answer = old.predict([[1, 2]]);
  const next = await load(5, 5);
  old.dispose();
  old.dispose();
  expect(await answer).toEqual([[3]]);
  expect(await next.predict([[1, 2]])).toEqual([[15]]);
  await expect(old.predict([[1, 2]])).rejects.toMatchObject({ code: "ABORTED" });
});

test("[TF32] input that is not whole examples is refused with both shapes", async () => {
  const model = await (await setUp()).load(1, 1);
  for (const input of [[[1, 2, 3]], [1, 2], [[1, [2]]], Float32Array.of(1, 2, 3)]) {
    await expect(model.predict(input)).rejects.toMatchObject({ code: "MALFORMED_MESSAGE" });
  }
  await expect(model.predict([[1, 2, 3]])).rejects.toThrow(/shape \[2\], found 3 elements/);
});

test("[TF33] loading, predicting, failing and disposing leave no tensor behind", async () => {
  const { load, layout } = await setUp();
  const before = tf.memory().numTensors;
  const model = await load(1, 1);
  await model.predict([[1, 2]]);
  await expect(model.predict([[1]])).rejects.toThrow();
  model.dispose();
  await expect(load(1, 2, 3)).rejects.toMatchObject({ code: "UPDATE_LAYOUT_MISMATCH" });
  const other = createTfjsPredictor({
    tf,
    model: () => tf.sequential({ layers: [tf.layers.dense({ inputShape: [3], units: 1 })] }),
  });
  await expect(other.load(Float32Array.of(1, 1), layout)).rejects.toMatchObject({
    code: "UPDATE_LAYOUT_MISMATCH",
  });
  expect(tf.memory().numTensors).toBe(before);
});
