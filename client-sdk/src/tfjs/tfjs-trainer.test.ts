import { createLayout, type TrainingPlan } from "@tributary/protocol";
import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { beforeAll, expect, test } from "vitest";

import { chooseBackend } from "../node/backend.ts";
import type { TrainingProgress } from "../trainer.ts";
import type { Dataset } from "./dataset.ts";
import { createUniform } from "./shuffle.ts";
import { createTfjsTrainer, type TfjsTrainerOptions } from "./tfjs-trainer.ts";
import { describeModel, readWeights, tensorSpecsOf, writeWeights } from "./weights.ts";

const tf = { ...core, ...layers };
beforeAll(async () => {
  await chooseBackend({ tf, prefer: "wasm" });
});

/** Three classes of points around three corners. */
function corners(count: number, seed = 1): Dataset {
  const uniform = createUniform(seed);
  const xs = new Float32Array(4 * count);
  const ys = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    ys[i] = i % 3;
    for (let d = 0; d < 4; d++) xs[4 * i + d] = (d === i % 3 ? 1 : 0) + 0.4 * (uniform() - 0.5);
  }
  return { xs, ys, inputShape: [4] };
}

const { layers: make } = tf;
const classifier = () =>
  tf.sequential({
    layers: [
      make.dense({ inputShape: [4], units: 8, activation: "relu" }),
      make.dense({ units: 3, activation: "softmax" }),
    ],
  });

const PLAN: TrainingPlan = {
  epochs: 2,
  batchSize: 8,
  learningRate: 0.1,
  optimizer: { kind: "sgd" },
  proximalMu: 0,
  evaluate: false,
  encoding: { kind: "float32" },
  compression: "none",
  seed: 7,
};

/** A trainer and a request for it, from weights that are the same in every call. */
async function setUp(options: Partial<TfjsTrainerOptions> = {}, plan: Partial<TrainingPlan> = {}) {
  const model = typeof options.model === "object" ? options.model : classifier();
  const { tensors, initialWeights } = await describeModel(model);
  const uniform = createUniform(99);
  const weights = initialWeights.map(() => uniform() - 0.5);
  const trainer = createTfjsTrainer({ tf, dataset: corners(30), ...options, model });
  const layout = await createLayout(tensors);
  const signal = new AbortController().signal;
  return { trainer, model, request: { weights, layout, plan: { ...PLAN, ...plan }, signal } };
}

test("[TF1] names and order of a model's tensors do not depend on what was built before it", async () => {
  const first = tensorSpecsOf(classifier());
  expect(first).toEqual([
    { name: "0.kernel", shape: [4, 8] },
    { name: "0.bias", shape: [8] },
    { name: "1.kernel", shape: [8, 3] },
    { name: "1.bias", shape: [3] },
  ]);
  expect(tensorSpecsOf(classifier())).toEqual(first);
});

test("[TF1] weights that never train, and equal roles in one layer, are part of the layout", async () => {
  const model = tf.sequential({
    layers: [
      make.embedding({ inputShape: [3], inputDim: 4, outputDim: 2 }),
      make.bidirectional({
        layer: make.simpleRNN({ units: 2, recurrentInitializer: "zeros" }),
        mergeMode: "concat",
      }),
      make.batchNormalization(),
    ],
  });
  expect(tensorSpecsOf(model).map(({ name }) => name)).toEqual([
    "0.embeddings",
    "1.kernel",
    "1.recurrent_kernel",
    "1.bias",
    "1.kernel_1",
    "1.recurrent_kernel_1",
    "1.bias_1",
    "2.gamma",
    "2.beta",
    "2.moving_mean",
    "2.moving_variance",
  ]);
  const flat = readWeights(model).map((_, i) => i / 8);
  writeWeights(tf, model, flat);
  expect(readWeights(model)).toEqual(flat);
  expect(() => writeWeights(tf, model, flat.slice(1))).toThrow(/elements, the model/);
});

test("[TF2] weights of another architecture are refused, with both tensors named", async () => {
  const { trainer, request } = await setUp();
  const layout = await createLayout([
    { name: "0.kernel", shape: [4, 9] },
    { name: "0.bias", shape: [8] },
    { name: "1.kernel", shape: [8, 3] },
    { name: "1.bias", shape: [3] },
  ]);
  await expect(trainer.train({ ...request, layout })).rejects.toMatchObject({
    code: "UPDATE_LAYOUT_MISMATCH",
    message: expect.stringMatching(/"0.kernel" \[4, 9\].*"0.kernel" \[4, 8\]/),
  });
});

test("[TF3] training learns, and leaves the received weights as they were", async () => {
  const { trainer, request } = await setUp({ testSet: corners(60, 2) }, { epochs: 30 });
  const received = request.weights.slice();
  const before = await trainer.evaluate!(request);
  const result = await trainer.train(request);
  const after = await trainer.evaluate!({ ...request, weights: result.weights });
  expect(request.weights).toEqual(received);
  expect(result.numExamples).toBe(30);
  expect(result.metrics.evaluation).toBeUndefined();
  expect(after!.numExamples).toBe(60);
  expect(after!.lossSum).toBeLessThan(0.3 * before!.lossSum);
  const correct = after!.truePositives.reduce((sum, count) => sum + count, 0);
  expect(correct).toBeGreaterThan(57);
});

test("[TF4] with plan.evaluate the received model is judged, before it is trained", async () => {
  const { trainer, request } = await setUp({ testSet: corners(20, 2) }, { evaluate: true });
  const received = await trainer.evaluate!(request);
  const { metrics } = await trainer.train(request);
  expect(metrics.evaluation).toEqual(received);
  const without = await setUp({}, { evaluate: true });
  expect((await without.trainer.train(without.request)).metrics.evaluation).toBeUndefined();
});

test("[TF5] a seed makes training repeatable, and another seed gives another result", async () => {
  const run = async (seed: number) => {
    const { trainer, request } = await setUp({}, { seed });
    return (await trainer.train(request)).weights;
  };
  expect(await run(1)).toEqual(await run(1));
  expect(await run(1)).not.toEqual(await run(2));
});

test("[TF5] the order that a seed gives is fixed for all engines", () => {
  const uniform = createUniform(7, 3);
  const drawn = Array.from({ length: 4 }, () => Math.floor(uniform() * 1000));
  expect(drawn).toEqual(EXPECTED_DRAWS);
});
/** From an independent implementation of xoshiro128** in Python. */
const EXPECTED_DRAWS = [328, 730, 370, 286];

/** A linear model without bias: y = w x, and its squared error, easy to follow by hand. */
const line = () =>
  tf.sequential({ layers: [make.dense({ inputShape: [1], units: 1, useBias: false })] });
const onePoint: Dataset = {
  xs: Float32Array.of(2),
  ys: Float32Array.of(3),
  inputShape: [1],
};

async function trainLine(plan: Partial<TrainingPlan>, dataset: Dataset = onePoint) {
  const { trainer, request } = await setUp(
    { model: line(), loss: "meanSquaredError", dataset },
    { learningRate: 0.05, ...plan },
  );
  const weights = Float32Array.of(1);
  return (await trainer.train({ ...request, weights })).weights[0]!;
}

test("[TF6] SGD, momentum, Adam and the FedProx term step as their definitions say", async () => {
  const gradient = (w: number) => 2 * 2 * (2 * w - 3);
  const [lr, steps] = [0.05, 3];
  let sgd = 1;
  let prox = 1;
  let heavy = { w: 1, v: 0 };
  let adam = { w: 1, m: 0, v: 0 };
  for (let t = 1; t <= steps; t++) {
    sgd -= lr * gradient(sgd);
    prox -= lr * (gradient(prox) + 0.5 * (prox - 1));
    const v = 0.9 * heavy.v + gradient(heavy.w);
    heavy = { w: heavy.w - lr * v, v };
    const g = gradient(adam.w);
    const [m, s] = [0.8 * adam.m + 0.2 * g, 0.99 * adam.v + 0.01 * g * g];
    const w = adam.w - (lr * (m / (1 - 0.8 ** t))) / (Math.sqrt(s / (1 - 0.99 ** t)) + 1e-3);
    adam = { w, m, v: s };
  }
  expect(await trainLine({ epochs: steps })).toBeCloseTo(sgd, 5);
  expect(await trainLine({ epochs: steps, proximalMu: 0.5 })).toBeCloseTo(prox, 5);
  const momentum = { kind: "momentum", momentum: 0.9 } as const;
  expect(await trainLine({ epochs: steps, optimizer: momentum })).toBeCloseTo(heavy.w, 5);
  const optimizer = { kind: "adam", beta1: 0.8, beta2: 0.99, epsilon: 1e-3 } as const;
  expect(await trainLine({ epochs: steps, optimizer })).toBeCloseTo(adam.w, 5);
});

test("[TF7] every example counts once per epoch, the smaller last batch included", async () => {
  const progress: TrainingProgress[] = [];
  const { trainer, request } = await setUp({ dataset: corners(20) }, { batchSize: 8, epochs: 2 });
  const { metrics } = await trainer.train({ ...request, onProgress: (p) => progress.push(p) });
  expect(progress.map(({ epoch, batch, examples }) => [epoch, batch, examples])).toEqual([
    [1, 1, 8],
    [1, 2, 16],
    [1, 3, 20],
    [2, 1, 28],
    [2, 2, 36],
    [2, 3, 40],
  ]);
  expect(progress[0]).toMatchObject({ epochs: 2, batches: 3 });
  expect(metrics.trainLoss).toBe(progress[5]!.loss);
});

test("[TF7] maxExamples bounds the examples, the same ones in every epoch", async () => {
  const points: Dataset = {
    xs: Float32Array.from({ length: 50 }, (_, i) => i / 50),
    ys: new Float32Array(50),
    inputShape: [1],
  };
  const seen: number[][] = [];
  const { trainer, request } = await setUp(
    {
      model: line(),
      dataset: points,
      loss: (output, labels) => {
        seen.push([...output.dataSync()]);
        return tf.mul(0, tf.add(output, labels));
      },
    },
    { maxExamples: 5, batchSize: 5, epochs: 2 },
  );
  const result = await trainer.train({ ...request, weights: Float32Array.of(1) });
  expect(result.numExamples).toBe(5);
  expect(seen).toHaveLength(2);
  expect(seen[0]!.toSorted()).toEqual(seen[1]!.toSorted());
});

const LOSSES: [string, Partial<TfjsTrainerOptions>][] = [
  ["softmaxCrossEntropy of probabilities", { loss: "softmaxCrossEntropy" }],
  ["softmaxCrossEntropy of logits", { loss: "softmaxCrossEntropy", output: "logits" }],
  ["binaryCrossEntropy of probabilities", { loss: "binaryCrossEntropy" }],
  ["binaryCrossEntropy of logits", { loss: "binaryCrossEntropy", output: "logits" }],
  ["meanSquaredError", { loss: "meanSquaredError" }],
];

test.each(LOSSES)(
  "[TF8] what training minimises is what evaluation reports: %s",
  async (_, options) => {
    const isSoftmax = options.loss === "softmaxCrossEntropy";
    const activation =
      options.output === "logits" || options.loss === "meanSquaredError"
        ? "linear"
        : isSoftmax
          ? "softmax"
          : "sigmoid";
    const units = isSoftmax ? 3 : 1;
    const model = tf.sequential({ layers: [make.dense({ inputShape: [4], units, activation })] });
    const points = corners(24);
    const dataset = isSoftmax ? points : { ...points, ys: points.ys.map((y) => Number(y === 1)) };
    const both = { ...options, model, dataset, testSet: dataset };
    const { trainer, request } = await setUp(both, { batchSize: 24, epochs: 1, evaluate: true });
    const { metrics } = await trainer.train(request);
    expect(metrics.trainLoss).toBeCloseTo(metrics.evaluation!.lossSum / 24, 5);
    const trained = await trainer.train({ ...request, plan: { ...request.plan, epochs: 40 } });
    expect(trained.metrics.trainLoss).toBeLessThan(0.8 * metrics.trainLoss!);
  },
);

test("[TF9] dropout and batch normalisation train in training mode and judge in inference mode", async () => {
  const model = tf.sequential({
    layers: [
      make.batchNormalization({ inputShape: [4] }),
      make.dropout({ rate: 0.9 }),
      make.dense({ units: 3, activation: "softmax" }),
    ],
  });
  const { trainer, request } = await setUp({ model, testSet: corners(20) });
  const weights = readWeights(model);
  const result = await trainer.train({ ...request, weights });
  const at = tensorSpecsOf(model).findIndex(({ name }) => name === "0.moving_mean");
  const { offset, size } = request.layout.tensors[at]!;
  const moved = result.weights.slice(offset, offset + size);
  expect([...moved].every((value, i) => value !== weights[offset + i])).toBe(true);
  const judge = () => trainer.evaluate!({ ...request, weights });
  expect(await judge()).toEqual(await judge());
});

test("[TF10] an abort stops training between two batches", async () => {
  const { trainer, request } = await setUp({}, { epochs: 1000 });
  const controller = new AbortController();
  let batches = 0;
  const training = trainer.train({
    ...request,
    signal: controller.signal,
    onProgress: () => {
      if (++batches === 3) controller.abort();
    },
  });
  await expect(training).rejects.toMatchObject({ code: "ABORTED" });
  expect(batches).toBe(3);
});

test("[TF10] whoever waits for a shared model and is aborted leaves at once", async () => {
  const { trainer, model, request } = await setUp({}, { epochs: 3000 });
  const [first, second] = [new AbortController(), new AbortController()];
  const running = trainer.train({ ...request, signal: first.signal });
  const other = createTfjsTrainer({ tf, model, dataset: corners(9) });
  const waiting = other.train({ ...request, signal: second.signal });
  second.abort();
  await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
  first.abort();
  await expect(running).rejects.toMatchObject({ code: "ABORTED" });
});

test("[TF11] trainers that share one model take turns, each with its own result", async () => {
  const shared = classifier();
  const alone: Float32Array[] = [];
  for (const seed of [1, 2, 3]) {
    const own = await setUp({ dataset: corners(30, seed) });
    alone.push((await own.trainer.train(own.request)).weights);
  }
  const guests = await Promise.all(
    [1, 2, 3].map((seed) => setUp({ model: shared, dataset: corners(30, seed) })),
  );
  const together = guests.map(({ trainer, request }) => trainer.train(request));
  expect((await Promise.all(together)).map(({ weights }) => weights)).toEqual(alone);
});

test("[TF12] no tensor is left behind: after training, evaluation, an abort, a throw", async () => {
  const optimizers: TrainingPlan["optimizer"][] = [
    { kind: "sgd" },
    { kind: "momentum", momentum: 0.9 },
    { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  ];
  const { trainer, request, model } = await setUp({ testSet: corners(20) }, { evaluate: true });
  await trainer.train(request);
  const before = { tensors: tf.memory().numTensors, buffers: tf.memory().numDataBuffers };
  const same = () => {
    expect({ tensors: tf.memory().numTensors, buffers: tf.memory().numDataBuffers }).toEqual(
      before,
    );
  };
  for (const optimizer of optimizers) {
    await trainer.train({ ...request, plan: { ...request.plan, optimizer, proximalMu: 0.1 } });
    same();
    const controller = new AbortController();
    const plan = { ...request.plan, optimizer, proximalMu: 0.1, epochs: 1000 };
    const training = trainer.train({
      ...request,
      plan,
      signal: controller.signal,
      onProgress: ({ batch }) => batch === 2 && controller.abort(),
    });
    await expect(training).rejects.toMatchObject({ code: "ABORTED" });
    same();
  }
  const faulty = createTfjsTrainer({
    tf,
    model,
    dataset: corners(30),
    loss: () => {
      throw new Error("no loss");
    },
  });
  await expect(faulty.train(request)).rejects.toThrow("no loss");
  same();
  const throwing = trainer.train({
    ...request,
    onProgress: () => {
      throw new Error("listener");
    },
  });
  await expect(throwing).rejects.toThrow("listener");
  same();
});

test("[TF13] training that diverges fails with what to do, and reports no weights", async () => {
  const { trainer, request } = await setUp(
    { model: line(), loss: "meanSquaredError", dataset: onePoint },
    { learningRate: 1e30, epochs: 5 },
  );
  await expect(trainer.train({ ...request, weights: Float32Array.of(1) })).rejects.toMatchObject({
    code: "UPDATE_NOT_FINITE",
    message: expect.stringMatching(
      /loss is .* in epoch 2, batch 1 at learning rate 1e\+30; lower the learning rate/,
    ),
  });
});

test("[TF13] a last step into infinity is noticed, too", async () => {
  await expect(trainLine({ learningRate: 3e38, epochs: 1 })).rejects.toMatchObject({
    code: "UPDATE_NOT_FINITE",
  });
});

test("[TF14] the event loop gets its turn while training runs", async () => {
  const { trainer, request } = await setUp({}, { epochs: 3000 });
  const controller = new AbortController();
  const training = trainer.train({ ...request, signal: controller.signal });
  let ticks = 0;
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (++ticks === 3) {
        clearInterval(timer);
        resolve();
      }
    }, 1);
  });
  controller.abort();
  await expect(training).rejects.toMatchObject({ code: "ABORTED" });
});

test("[TF15] data that does not fit says so: labels, shapes, an empty set", async () => {
  const train = async (options: Partial<TfjsTrainerOptions>) => {
    const { trainer, request } = await setUp(options);
    return trainer.train(request);
  };
  const { xs, ys } = corners(6);
  const invalid = (message: RegExp) => ({
    code: "CONFIG_INVALID",
    message: expect.stringMatching(message),
  });
  const wrongShape = { xs, ys, inputShape: [5] };
  await expect(train({ dataset: wrongShape })).rejects.toMatchObject(invalid(/24 inputs.*\[5\]/));
  const wrongLabel = { xs, ys: ys.map(() => 3), inputShape: [4] };
  await expect(train({ dataset: wrongLabel })).rejects.toMatchObject(invalid(/3 outputs.*label 3/));
  const empty = { xs: xs.slice(0, 0), ys: ys.slice(0, 0), inputShape: [4] };
  await expect(train({ dataset: empty })).rejects.toMatchObject(invalid(/no local examples/));
});

test("[TF18] a function that gives data is asked each time, so that growing data are trained on and judged by", async () => {
  let count = 0;
  const { trainer, request } = await setUp(
    { dataset: () => corners(count), testSet: async () => corners(2 * count) },
    { evaluate: true },
  );
  // None yet is no fault of the app's: a later round may go better.
  await expect(trainer.train(request)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await trainer.evaluate!(request)).toBeUndefined();
  for (count of [6, 9]) {
    const { numExamples, metrics } = await trainer.train(request);
    expect(numExamples).toBe(count);
    expect(metrics.evaluation).toMatchObject({ numExamples: 2 * count });
    expect(await trainer.evaluate!(request)).toMatchObject({ numExamples: 2 * count });
  }
});

test("[TF16] bytes are scaled on their way into a batch", async () => {
  const scaled = { ...onePoint, xs: Uint8Array.of(200), scale: 0.01 };
  const plain = await trainLine({ epochs: 3 });
  expect(await trainLine({ epochs: 3 }, scaled)).toBeCloseTo(plain, 5);
});

test("[TF17] disposal aborts training, frees a model that the trainer built, and leaves the app's", async () => {
  const { request, model } = await setUp({}, { epochs: 3000 });
  const before = tf.memory().numTensors;
  const own = createTfjsTrainer({ tf, model: classifier, dataset: () => corners(30) });
  const started = new Promise<void>((resolve) => {
    const training = own.train({ ...request, onProgress: () => resolve() });
    void expect(training).rejects.toMatchObject({ code: "ABORTED" });
  });
  await started;
  expect(tf.memory().numTensors).toBeGreaterThan(before);
  own.dispose!();
  await expect(own.train(request)).rejects.toMatchObject({ code: "ABORTED" });
  await expect.poll(() => tf.memory().numTensors).toBe(before);
  const guest = createTfjsTrainer({ tf, model, dataset: corners(30) });
  await guest.train({ ...request, plan: PLAN });
  guest.dispose!();
  expect(readWeights(model)).toHaveLength(request.weights.length);
});
