import * as core from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { beforeAll, expect, test } from "vitest";

import { chooseBackend } from "../node/backend.ts";
import { createUniform } from "./shuffle.ts";
import { registerTrainingKernels } from "./wasm-training-kernels.ts";
import { readWeights, variableOf, writeWeights } from "./weights.ts";

const tf = { ...core, ...layers };
const uniform = createUniform(20_260);
const integer = (from: number, to: number) => from + Math.floor(uniform() * (to - from + 1));
const numbers = (shape: number[]) =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * uniform() - 1);

beforeAll(async () => {
  await chooseBackend({ tf, prefer: "cpu" });
  await chooseBackend({ tf, prefer: "wasm" });
});

interface Result {
  readonly shape: number[];
  readonly values: Float32Array;
}

/** Runs the same on both backends; inputs must be made inside `run`. */
async function onBoth(run: () => core.Tensor): Promise<{ cpu: Result; wasm: Result }> {
  const on = async (backend: string): Promise<Result> => {
    await tf.setBackend(backend);
    return tf.tidy(() => {
      const result = run();
      return { shape: result.shape, values: Float32Array.from(result.dataSync()) };
    });
  };
  return { cpu: await on("cpu"), wasm: await on("wasm") };
}

/** Largest difference over the largest value, or 1 where all are smaller. */
function difference({ cpu, wasm }: { cpu: Result; wasm: Result }): number {
  expect(wasm.shape).toEqual(cpu.shape);
  let scale = 1;
  let worst = 0;
  cpu.values.forEach((value, i) => {
    scale = Math.max(scale, Math.abs(value));
    const off = Math.abs(value - wasm.values[i]!);
    worst = off <= worst ? worst : off;
  });
  return worst / scale;
}

function randomGeometry() {
  for (;;) {
    const geometry = {
      input: [integer(1, 3), integer(1, 9), integer(1, 9), integer(1, 4)] as Shape,
      filter: [integer(1, 5), integer(1, 5)] as [number, number],
      strides: [integer(1, 4), integer(1, 4)] as [number, number],
      pad: (["same", "valid", 1, 2] as const)[integer(0, 3)]!,
      multiplier: integer(1, 4),
    };
    if (typeof geometry.pad === "number") {
      geometry.filter[1] = geometry.filter[0];
      geometry.strides[1] = geometry.strides[0];
    }
    const [, height, width] = geometry.input;
    const extra = typeof geometry.pad === "number" ? 2 * geometry.pad : 0;
    const fits = geometry.filter[0] <= height + extra && geometry.filter[1] <= width + extra;
    if (geometry.pad === "same" || fits) return geometry;
  }
}
type Shape = [number, number, number, number];
type Geometry = ReturnType<typeof randomGeometry>;

/** Output with random weights, and its gradients by every input, as one vector. */
function outputAndGradients(
  inputs: { shape: number[]; values: Float32Array }[],
  run: (...tensors: core.Tensor[]) => core.Tensor,
): core.Tensor {
  const tensors = inputs.map(({ shape, values }) => tf.tensor(values, shape));
  const output = run(...tensors);
  const dy = tf.tensor(
    Float32Array.from({ length: output.size }, (_, i) => Math.sin(3 * i + 1)),
    output.shape,
  );
  const gradients = tf.grads(run)(tensors, dy);
  return tf.concat([output, ...gradients].map((tensor) => tf.reshape(tensor, [tensor.size])));
}

const data = (shape: number[]) => ({ shape, values: numbers(shape) });

test("[TF20] convolution and its gradients on wasm equal cpu on random shapes, strides and paddings", async () => {
  for (let i = 0; i < 60; i++) {
    const g = randomGeometry();
    const inputs = [data(g.input), data([...g.filter, g.input[3], g.multiplier])];
    const both = await onBoth(() =>
      outputAndGradients(inputs, (x, filter) =>
        tf.conv2d(x as core.Tensor4D, filter as core.Tensor4D, g.strides, g.pad),
      ),
    );
    expect(difference(both), JSON.stringify(g)).toBeLessThan(1e-5);
  }
});

test("[TF20] depthwise convolution and its gradients on wasm equal cpu on random configurations", async () => {
  for (let i = 0; i < 60; i++) {
    const g = randomGeometry();
    const inputs = [data(g.input), data([...g.filter, g.input[3], g.multiplier])];
    const both = await onBoth(() =>
      outputAndGradients(inputs, (x, filter) =>
        tf.depthwiseConv2d(x as core.Tensor4D, filter as core.Tensor4D, g.strides, g.pad),
      ),
    );
    expect(difference(both), JSON.stringify(g)).toBeLessThan(1e-5);
  }
});

test("[TF21] pooling and its gradients on wasm equal cpu, windows of negative numbers included", async () => {
  const pools = [tf.maxPool, tf.avgPool];
  for (let i = 0; i < 60; i++) {
    const g: Geometry = randomGeometry();
    const pool = pools[i % 2]!;
    const pad = typeof g.pad === "number" ? "same" : g.pad;
    const images = data(g.input);
    const inputs = [i % 4 < 2 ? negative(images) : images];
    const both = await onBoth(() =>
      outputAndGradients(inputs, (x) => pool(x as core.Tensor4D, g.filter, g.strides, pad)),
    );
    expect(difference(both), JSON.stringify(g)).toBeLessThan(1e-5);
  }
});

const negative = ({ shape, values }: ReturnType<typeof data>) => ({
  shape,
  values: values.map((value) => value - 2),
});

test("[TF20] matrix products with transposed operands on wasm equal cpu", async () => {
  for (let i = 0; i < 40; i++) {
    const [m, k, n] = [integer(1, 9), integer(1, 9), integer(1, 9)];
    const [transposeA, transposeB] = [uniform() < 0.5, uniform() < 0.5];
    const outer = [[], [1], [3]][i % 3]!;
    const a = data([...outer, ...(transposeA ? [k, m] : [m, k])]);
    const b = data([...outer, ...(transposeB ? [n, k] : [k, n])]);
    const both = await onBoth(() =>
      outputAndGradients([a, b], (x, y) => tf.matMul(x, y, transposeA, transposeB)),
    );
    expect(difference(both), `${m} ${k} ${n} ${transposeA} ${transposeB}`).toBeLessThan(1e-5);
  }
});

test("[TF20] gathering, the sum over segments and slices on wasm equal cpu", async () => {
  for (let i = 0; i < 40; i++) {
    const table = data([integer(2, 9), integer(1, 5), integer(1, 3)]);
    const ids = Int32Array.from({ length: 6 }, () => integer(0, table.shape[0]! - 1));
    const gathered = await onBoth(() =>
      outputAndGradients([table], (x) => tf.gather(x, tf.tensor2d(ids, [2, 3], "int32"))),
    );
    expect(difference(gathered)).toBeLessThan(1e-5);

    const block = data(Array.from({ length: integer(1, 5) }, () => integer(1, 4)));
    const begin = block.shape.map((size) => integer(0, size - 1));
    const size = block.shape.map((whole, d) => integer(1, whole - begin[d]!));
    const sliced = await onBoth(() => outputAndGradients([block], (x) => tf.slice(x, begin, size)));
    expect(difference(sliced), `${block.shape.join()} ${begin.join()} ${size.join()}`).toBe(0);
  }
});

const { layers: make } = tf;
const image: [number, number, number] = [8, 8, 2];
/** One small model per kind of layer that people train. */
const MODELS: Record<string, () => layers.layers.Layer[]> = {
  dense: () => [
    make.dense({ inputShape: [6], units: 5, activation: "elu" }),
    make.dense({ units: 4, activation: "selu" }),
  ],
  "activations and layer norm": () => [
    make.dense({ inputShape: [6], units: 5 }),
    make.layerNormalization(),
    make.leakyReLU(),
    make.prelu(),
    make.dense({ units: 4, activation: "softplus" }),
    make.dense({ units: 4, activation: "relu6" }),
    make.dense({ units: 4, activation: "tanh" }),
  ],
  "convolution, batch norm, max pool": () => [
    make.conv2d({ inputShape: image, filters: 3, kernelSize: 3, padding: "same" }),
    make.batchNormalization(),
    make.maxPooling2d({ poolSize: 2 }),
    make.flatten(),
  ],
  "strided convolution, average pool": () => [
    make.conv2d({ inputShape: image, filters: 3, kernelSize: 3, strides: 2, activation: "relu" }),
    make.averagePooling2d({ poolSize: 2 }),
    make.flatten(),
  ],
  "separable and depthwise, global pools": () => [
    make.separableConv2d({ inputShape: image, filters: 3, kernelSize: 3, padding: "same" }),
    make.depthwiseConv2d({ kernelSize: 3, strides: 2, depthMultiplier: 2 }),
    make.globalAveragePooling2d({}),
  ],
  "transposed convolution, up-sampling": () => [
    make.conv2dTranspose({ inputShape: image, filters: 2, kernelSize: 3, strides: 2 }),
    make.upSampling2d({ size: [2, 2] }),
    make.globalMaxPooling2d({}),
  ],
  "convolution in one dimension": () => [
    make.conv1d({ inputShape: [9, 2], filters: 3, kernelSize: 3, activation: "sigmoid" }),
    make.maxPooling1d({ poolSize: 2 }),
    make.flatten(),
  ],
  "embedding and lstm": () => [
    make.embedding({ inputShape: [5], inputDim: 7, outputDim: 3 }),
    make.lstm({ units: 4, recurrentInitializer: "glorotNormal" }),
  ],
  "embedding and bidirectional gru": () => [
    make.embedding({ inputShape: [5], inputDim: 7, outputDim: 3 }),
    make.bidirectional({
      layer: make.gru({ units: 3, recurrentInitializer: "glorotNormal" }),
      mergeMode: "concat",
    }),
  ],
};

test.each(Object.keys(MODELS))(
  "[TF22] gradients of a model on wasm equal cpu: %s",
  async (kind) => {
    const isText = kind.startsWith("embedding");
    const build = () => tf.sequential({ layers: [...MODELS[kind]!(), make.dense({ units: 2 })] });
    await tf.setBackend("cpu");
    const first = build();
    const weights = readWeights(first).map((value) => value + 0.2 * uniform());
    // The cpu backend (4.22) mixes up the images of a batch in the gradient of nearest up-sampling.
    const examples = kind.endsWith("up-sampling") ? 1 : 3;
    const shape = [examples, ...(first.inputs[0]!.shape.slice(1) as number[])];
    const values = numbers(shape).map((value) => (isText ? Math.floor(3.5 * (value + 1)) : value));
    const results: Record<string, Result> = {};
    for (const backend of ["cpu", "wasm"]) {
      await tf.setBackend(backend);
      const model = build();
      writeWeights(tf, model, weights);
      const variables = model.trainableWeights.map(variableOf);
      const flat = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => {
          const output = model.apply(tf.tensor(values, shape), { training: true }) as core.Tensor;
          return tf.mean<core.Scalar>(tf.square(output));
        }, variables);
        return tf.concat(
          [value, ...variables.map(({ name }) => grads[name]!)].map((t) => tf.reshape(t, [t.size])),
        );
      });
      results[backend] = { shape: flat.shape, values: flat.dataSync<"float32">() };
    }
    expect(results.cpu!.values.some((value) => value !== 0)).toBe(true);
    expect(difference(results as { cpu: Result; wasm: Result })).toBeLessThan(1e-5);
  },
);

test("[TF24] a padding that TF.js itself miscalculates is refused with what to do instead", async () => {
  await tf.setBackend("wasm");
  const convolve = () =>
    tf.conv2d(tf.ones<core.Rank.R4>([1, 4, 7, 2]), tf.ones<core.Rank.R4>([2, 1, 2, 3]), [4, 2], 1);
  expect(() => tf.tidy(convolve)).toThrow(/miscalculates padding 1 .* use 'same', 'valid'/);
});

test("[TF23] registering twice changes nothing, and the kernels free what they use", async () => {
  await tf.setBackend("wasm");
  const before = tf.getKernelsForBackend("wasm");
  registerTrainingKernels(tf);
  expect(tf.getKernelsForBackend("wasm")).toEqual(before);
  const backend = tf.backend();
  const inputs = [data([2, 6, 6, 3]), data([3, 3, 3, 2])];
  const counts: number[] = [];
  for (let i = 0; i < 3; i++) {
    tf.tidy(() => {
      outputAndGradients(inputs, (x, filter) =>
        tf.maxPool(
          tf.conv2d(x as core.Tensor4D, filter as core.Tensor4D, 2, "valid"),
          [1, 1],
          2,
          "same",
        ),
      );
      outputAndGradients(inputs, (x, filter) =>
        tf.depthwiseConv2d(x as core.Tensor4D, filter as core.Tensor4D, 1, "same"),
      );
      outputAndGradients([data([4, 5]), data([4, 5])], (x, y) => tf.matMul(x, y, true));
    });
    counts.push(backend.numDataIds());
  }
  expect(counts[2]).toBe(counts[0]);
});
