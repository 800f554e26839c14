/** Serves a TF.js layers model: each load builds a model of its own, so that a swap disturbs nothing. */

import { FederatedError } from "@tributary/protocol";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import type { LoadedModel, Predictor } from "../trainer.ts";
import { forward } from "./evaluation.ts";
import type { TensorFlow } from "./tensorflow.ts";
import { assertModelFits, writeWeights } from "./weights.ts";

/** Numbers in rows in rows …: one element per example, as TensorFlow Serving's `instances`. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** Examples: nested, or flat one after the other. */
export type PredictorInput = readonly NestedNumbers[] | Float32Array | Uint8Array | Int32Array;

export interface TfjsPredictorOptions {
  readonly tf: TensorFlow;
  /** Builds the architecture; called for each load. */
  readonly model: () => LayersModel | Promise<LayersModel>;
  /** Each input is multiplied by this, as in training. Default 1. */
  readonly scale?: number;
}

/**
 * Makes a {@link Predictor} of one output row (or rows of rows) per example, in the order given.
 * `predict` throws FederatedError MALFORMED_MESSAGE for input that is not whole examples of numbers.
 */
export function createTfjsPredictor(
  options: TfjsPredictorOptions,
): Predictor<PredictorInput, NestedNumbers[]> {
  const { tf, scale = 1 } = options;
  return {
    load: async (weights, layout) => {
      const model = await options.model();
      try {
        assertModelFits(model, layout);
        writeWeights(tf, model, weights);
        return loadedModel(tf, model, scale);
      } catch (error) {
        model.dispose();
        throw error;
      }
    },
  };
}

function loadedModel(
  tf: TensorFlow,
  model: LayersModel,
  scale: number,
): LoadedModel<PredictorInput, NestedNumbers[]> {
  const inputShape = inputShapeOf(model);
  let disposed = false;
  return {
    predict: async (input) => {
      if (disposed) throw new FederatedError("ABORTED", "the loaded model was disposed");
      const { values, numExamples } = flatten(input, inputShape);
      if (scale !== 1) values.forEach((value, i) => (values[i] = value * scale));
      if (numExamples === 0) return [];
      // The forward pass is over before anything else can run: disposal cannot come in between.
      const outputs = tf.tidy(() =>
        forward(model, tf.tensor(values, [numExamples, ...inputShape], "float32"), false),
      );
      return readRows(outputs);
    },
    dispose: () => {
      if (disposed) return;
      disposed = true;
      model.dispose();
    },
  };
}

async function readRows(outputs: Tensor): Promise<NestedNumbers[]> {
  try {
    return (await outputs.array()) as NestedNumbers[];
  } finally {
    outputs.dispose();
  }
}

function inputShapeOf(model: LayersModel): number[] {
  const [batch, ...shape] = model.inputs[0]?.shape ?? [];
  if (batch === undefined || model.inputs.length !== 1 || shape.some((size) => size === null)) {
    throw new FederatedError("CONFIG_INVALID", "serving needs one input of a fixed shape");
  }
  return shape.map(Number);
}

/** Checks the shape on the way: every array must have the length that its depth asks for. */
function flatten(input: PredictorInput, inputShape: readonly number[]) {
  const size = inputShape.reduce((product, dimension) => product * dimension, 1);
  if (!Array.isArray(input)) {
    const flat = Float32Array.from(input as ArrayLike<number>);
    if (flat.length % size !== 0) {
      throw badInput(`${flat.length} numbers are not whole examples of ${size}`);
    }
    return { values: flat, numExamples: flat.length / size };
  }
  const examples = input as readonly NestedNumbers[];
  const values = new Float32Array(examples.length * size);
  let next = 0;
  const copy = (value: NestedNumbers, depth: number): void => {
    if (depth === inputShape.length) {
      if (typeof value !== "number") throw badInput(`a number is missing at depth ${depth + 1}`);
      values[next++] = value;
      return;
    }
    if (!Array.isArray(value) || value.length !== inputShape[depth]) {
      const found = Array.isArray(value) ? `${value.length} elements` : "no array";
      throw badInput(`each example has shape [${inputShape.join(", ")}], found ${found}`);
    }
    for (const inner of value as readonly NestedNumbers[]) copy(inner, depth + 1);
  };
  for (const example of examples) copy(example, 0);
  return { values, numExamples: examples.length };
}

const badInput = (facts: string) =>
  new FederatedError("MALFORMED_MESSAGE", `the input does not fit the model: ${facts}`);
