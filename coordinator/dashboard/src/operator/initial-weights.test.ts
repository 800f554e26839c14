import { createLayout, encodeCheckpoint } from "@tributary/protocol";
import { expect, test } from "vitest";

import { base64, readModel, weightsFromFile } from "./initial-weights.ts";

const values = Float32Array.of(1.5, -2, 0.25);
const raw = new Uint8Array(values.buffer);

test("[DB65] first weights come from a checkpoint, from float32 values, or from a model that is pasted", async () => {
  const layout = await createLayout([{ name: "w", shape: [3] }]);
  const frame = encodeCheckpoint(layout, { modelVersion: 4, weights: values });
  expect(weightsFromFile("a.ckpt", frame).bytes).toEqual(raw);
  expect(weightsFromFile("a.f32", raw).bytes).toEqual(raw);
  const pasted = JSON.stringify({ tensors: [{ name: "w", shape: [3] }], initialWeights: values });
  expect(readModel(pasted)).toEqual({
    tensors: [{ name: "w", shape: [3] }],
    weights: { name: "the model that was pasted", bytes: raw },
  });
  expect(readModel('[{"name":"w","shape":[3]}]')).toEqual({
    tensors: [{ name: "w", shape: [3] }],
  });
  const decoded = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  expect(decoded(base64(raw))).toEqual(raw);
  const large = new Uint8Array(100_001).map((_, i) => i % 251);
  expect(decoded(base64(large))).toEqual(large);
});

test("[DB65] what is neither is told in words", () => {
  expect(() => weightsFromFile("a.png", new Uint8Array(7))).toThrow("a.png has 7 bytes");
  expect(() => weightsFromFile("none", new Uint8Array())).toThrow();
  expect(() => readModel("{}")).toThrow("no tensors");
  expect(() => readModel("{")).toThrow();
});
