import { expect, test } from "vitest";

import type { Patient } from "./heart-disease.ts";
import { accuracy, addGradient, createBatchStream, initialWeights, trainAdam } from "./logistic.ts";
import { createLogisticTrainer } from "./logistic-trainer.ts";
import { createMersenneTwister } from "./mersenne-twister.ts";

/** The first feature decides. */
const patients: Patient[] = Array.from({ length: 40 }, (_, i) => ({
  features: [i % 2 === 0 ? 1 : -1, ...Array.from({ length: 12 }, (_, j) => Math.sin(i * 13 + j))],
  label: i % 2 === 0 ? 1 : 0,
}));

test("[EX10] first weights are those of torch.nn.Linear after torch.manual_seed", () => {
  // torch.manual_seed(42); torch.rand(1) is 0.8823: here scaled to ±1 / sqrt(13).
  const [first] = initialWeights(42);
  expect(first).toBeCloseTo((2 * 0.8822692633 - 1) / Math.sqrt(13), 7);
  expect(initialWeights(42)).toHaveLength(14);
  expect(initialWeights(43)).not.toEqual(initialWeights(42));
});

test("[EX11] the gradient is the derivative of the loss", () => {
  const weights = Float64Array.from(initialWeights(1));
  const gradient = new Float64Array(14);
  addGradient(weights, patients, gradient);
  const lossAt = (j: number, shift: number) => {
    const moved = Float64Array.from(weights);
    moved[j]! += shift;
    return addGradient(moved, patients, new Float64Array(14));
  };
  for (let j = 0; j < 14; j++) {
    const numeric = (lossAt(j, 1e-5) - lossAt(j, -1e-5)) / 2e-5;
    expect(gradient[j]).toBeCloseTo(numeric, 7);
  }
});

test("[EX11] a stream shows every patient once before any twice", () => {
  const stream = createBatchStream(patients, 7, createMersenneTwister(1));
  const pass = () => Array.from({ length: 6 }, () => stream.next()).flat();
  const [first, second] = [pass(), pass()];
  expect(new Set(first).size).toBe(40);
  expect(first).toHaveLength(40);
  expect(new Set(second).size).toBe(40);
  expect(second).not.toEqual(first);
});

test("[EX11] Adam learns what can be learned", () => {
  const start = initialWeights(3).map((value) => -Math.abs(value));
  const trained = trainAdam(start, patients, { epochs: 50, batchSize: 4, learningRate: 0.01 }, 3);
  expect(accuracy(start, patients)).toBeLessThan(0.6);
  expect(accuracy(trained, patients)).toBe(1);
});

const plan = {
  epochs: 1,
  batchSize: 4,
  learningRate: 0.1,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
} as const;
const layout = { tensors: [], parameterCount: 14, digest: "" as never };

test("[EX11] a hospital does its steps with SGD, and FedProx keeps it nearer to what it received", async () => {
  const { signal } = new AbortController();
  const weights = initialWeights(3);
  const distance = async (proximalMu: number) => {
    const trainer = createLogisticTrainer({ patients, steps: 100, seed: 1 });
    const result = await trainer.train({ weights, layout, plan: { ...plan, proximalMu }, signal });
    expect(result.numExamples).toBe(40);
    return Math.hypot(...result.weights.map((value, j) => value - weights[j]!));
  };
  const [free, held] = [await distance(0), await distance(5)];
  expect(free).toBeGreaterThan(1);
  expect(held).toBeLessThan(0.5 * free);
});

test("[EX11] one step of a hospital is one step down the gradient of its first batch", async () => {
  const weights = initialWeights(3);
  const batch = createBatchStream(patients, 4, createMersenneTwister(9)).next();
  const gradient = new Float64Array(14);
  const loss = addGradient(weights, batch, gradient);
  const trainer = createLogisticTrainer({ patients, steps: 1, seed: 9 });
  const { signal } = new AbortController();
  const result = await trainer.train({ weights, layout, plan, signal });
  expect(result.metrics.trainLoss).toBeCloseTo(loss, 12);
  result.weights.forEach((value, j) =>
    expect(value).toBeCloseTo(weights[j]! - 0.1 * gradient[j]!, 6),
  );
});

test("[EX11] a hospital stops when it is told to", async () => {
  const trainer = createLogisticTrainer({ patients, steps: 100, seed: 1 });
  const signal = AbortSignal.abort();
  await expect(
    trainer.train({ weights: initialWeights(1), layout, plan, signal }),
  ).rejects.toThrow();
});
