/** Local examples in typed arrays, and the tensors of one batch gathered from them. */

import { FederatedError } from "@tributary/protocol";
import type { Tensor } from "@tensorflow/tfjs-core";

import type { TensorFlow } from "./tensorflow.ts";

export interface Dataset {
  /** Inputs of all examples one after the other, each `inputShape` in row-major order. */
  readonly xs: Float32Array | Uint8Array | Int32Array;
  /** Each input is multiplied by this on its way into a batch, e.g. 1 / 255 for bytes. Default 1. */
  readonly scale?: number;
  /** Class of each example from 0, or regression targets: the same number of them for each example. */
  readonly ys: Int32Array | Uint8Array | Float32Array;
  /** Shape of one example, without the batch: `[784]`, `[28, 28, 1]`. */
  readonly inputShape: readonly number[];
}

/**
 * A data set, or how to get what there is of it now. It is asked each time: an app that loads something big keeps
 * it itself.
 */
export type DatasetSource = Dataset | (() => Dataset | Promise<Dataset>);

export interface Batch {
  readonly inputs: Tensor;
  /** [examples, labels per example]. */
  readonly labels: Float32Array;
  readonly labelsPerExample: number;
  readonly numExamples: number;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((size, dimension) => size * dimension, 1);

/**
 * Number of examples.
 * @throws FederatedError CONFIG_INVALID when inputs, labels and shape do not fit together
 */
export function countExamples({ xs, ys, inputShape }: Dataset): number {
  const inputSize = sizeOf(inputShape);
  const count = xs.length / inputSize;
  const perExample = ys.length / count;
  if (
    !Number.isInteger(count) ||
    (count > 0 && (perExample < 1 || !Number.isInteger(perExample)))
  ) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `${xs.length} inputs of shape [${inputShape.join(", ")}] and ${ys.length} labels do not make a data set`,
    );
  }
  return count;
}

/** Resolves a source. @throws FederatedError CONFIG_INVALID as {@link countExamples} */
export async function loadDataset(source: DatasetSource): Promise<Dataset> {
  const dataset = typeof source === "function" ? await source() : source;
  countExamples(dataset);
  return dataset;
}

/**
 * The examples of `indices` as tensors, gathered in plain memory: slicing a tensor of the whole set
 * would copy all of it on the wasm backend, for each batch. The caller disposes `inputs`.
 */
export function gatherBatch(tf: TensorFlow, dataset: Dataset, indices: Uint32Array): Batch {
  const { xs, ys, inputShape } = dataset;
  const scale = dataset.scale ?? 1;
  const inputSize = sizeOf(inputShape);
  const labelsPerExample = ys.length / (xs.length / inputSize);
  const numExamples = indices.length;
  const inputs = new Float32Array(numExamples * inputSize);
  const labels = new Float32Array(numExamples * labelsPerExample);
  indices.forEach((example, i) => {
    const from = example * inputSize;
    inputs.set(xs.subarray(from, from + inputSize), i * inputSize);
    const labelsFrom = example * labelsPerExample;
    labels.set(ys.subarray(labelsFrom, labelsFrom + labelsPerExample), i * labelsPerExample);
  });
  if (scale !== 1)
    for (let i = 0; i < inputs.length; i++) inputs[i] = (inputs[i] as number) * scale;
  return {
    inputs: tf.tensor(inputs, [numExamples, ...inputShape], "float32"),
    labels,
    labelsPerExample,
    numExamples,
  };
}
