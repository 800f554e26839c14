import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";

import type { ModelKind } from "./model.ts";
import { createModel, PARAMETER_COUNTS } from "./model.ts";

test.each(["mlp", "cnn"] as ModelKind[])(
  "[EX5] the %s has the published number of parameters, zero biases and Glorot bounds",
  (kind) => {
    const model = createModel(tf, kind, 1);
    expect(model.countParams()).toBe(PARAMETER_COUNTS[kind]);
    for (const { shape, read } of model.weights.map((weight) => ({
      shape: weight.shape as number[],
      read: () => Array.from(weight.read().dataSync()),
    }))) {
      const largest = read().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      if (shape.length === 1) expect(largest).toBe(0);
      else {
        const field = shape.slice(0, -2).reduce((product, side) => product * side, 1);
        const [fanIn, fanOut] = shape.slice(-2) as [number, number];
        const bound = Math.sqrt(6 / (field * (fanIn + fanOut)));
        expect(largest).toBeLessThanOrEqual(bound * (1 + 1e-6));
        expect(largest).toBeGreaterThan(0.98 * bound);
      }
    }
    model.dispose();
  },
);

test("[EX5] the same seed gives the same weights, another gives others", () => {
  const first = (seed: number) => {
    const model = createModel(tf, "mlp", seed);
    const weights = [...(model.weights[0]?.read().dataSync().subarray(0, 20) ?? [])];
    model.dispose();
    return weights;
  };
  expect(first(1)).toEqual(first(1));
  expect(first(1)).not.toEqual(first(2));
});
