/** Judges a TF.js layers model on a held-out set; the only part of the coordinator that knows TF.js. */

import type { EvaluationSums, Layout, Objective } from "@tributary/protocol";
import {
  addEvaluationSums,
  FederatedError,
  judgeOutputs,
  summarizeEvaluation,
} from "@tributary/protocol";
import type * as core from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import type { Evaluator } from "../ports.ts";

/** What is used of TensorFlow.js: the umbrella, or core alone. */
export type TensorFlow = Pick<typeof core, "tensor" | "tidy">;

type Lazy<T> = T | (() => T | Promise<T>);

export interface HeldOutSet {
  /** Inputs of all examples one after the other, each `inputShape` in row-major order. */
  readonly xs: Float32Array | Uint8Array | Int32Array;
  /** Each input is multiplied by this, as in training. Default 1. */
  readonly scale?: number;
  /** Class of each example from 0, or regression targets. */
  readonly ys: Int32Array | Uint8Array | Float32Array;
  /** Shape of one example, without the batch. */
  readonly inputShape: readonly number[];
}

export interface TfjsEvaluatorOptions {
  /** TF.js, or how to load it when the first version is judged. */
  readonly tf: Lazy<TensorFlow>;
  /** A model of the task's architecture that nobody else uses, or how to build it. */
  readonly model: Lazy<LayersModel>;
  readonly dataset: Lazy<HeldOutSet>;
  /** Default: softmax cross-entropy over classes. */
  readonly objective?: Objective;
  /** `logits`: the model's last layer has no softmax or sigmoid. Default `probabilities`. */
  readonly output?: "probabilities" | "logits";
  /** Examples between two turns of the event loop. Default 250. */
  readonly batchSize?: number;
}

/**
 * An evaluator of loss and, with classes, accuracy, precision, recall and F1. Evaluations run one after
 * the other, and the event loop gets its turn between batches. `evaluate` throws FederatedError ABORTED
 * after its signal, CONFIG_INVALID when model, task and data do not fit together, and RangeError when
 * the model's outputs are not finite.
 */
export function createTfjsEvaluator(options: TfjsEvaluatorOptions): Evaluator {
  let parts: Promise<Parts> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  const load = () => {
    // A failed load is forgotten, so that the next version is judged once its cause is gone.
    parts ??= loadParts(options).catch((error: unknown) => {
      parts = undefined;
      throw error;
    });
    return parts;
  };

  const evaluate = async (weights: Float32Array, layout: Layout, signal: AbortSignal) => {
    throwIfAborted(signal);
    const loaded = await load();
    setWeights(loaded.tf, loaded.model, weights, layout);
    return summarizeEvaluation(await judge(loaded, options, signal), "central");
  };

  return {
    evaluate: (weights, layout, signal) => {
      const result = last.then(() => evaluate(weights, layout, signal));
      last = result.catch(() => undefined);
      return result;
    },
  };
}

/** Runs the held-out set through the model, batch by batch. */
async function judge(
  { tf, model, dataset }: Parts,
  options: Pick<TfjsEvaluatorOptions, "objective" | "output" | "batchSize">,
  signal: AbortSignal,
): Promise<EvaluationSums> {
  const { objective = "softmaxCrossEntropy", output = "probabilities", batchSize = 250 } = options;
  const { xs, ys, inputShape } = dataset;
  const inputSize = inputShape.reduce((size, dimension) => size * dimension, 1);
  const count = xs.length / inputSize;
  const labelsPerExample = ys.length / count;
  if (!Number.isInteger(count) || !Number.isInteger(labelsPerExample)) {
    throw configInvalid(
      `the held-out set's ${xs.length} inputs of shape [${inputShape.join(", ")}] do not fit its ${ys.length} labels`,
    );
  }
  let sums: EvaluationSums | undefined;
  for (let start = 0; start < count; start += batchSize) {
    throwIfAborted(signal);
    const end = Math.min(count, start + batchSize);
    const inputs = scaled(dataset, start * inputSize, end * inputSize);
    const judged = judgeOutputs({
      objective,
      output,
      outputs: await forward(tf, model, inputs, [end - start, ...inputShape]),
      labels: ys.subarray(start * labelsPerExample, end * labelsPerExample),
      numExamples: end - start,
    });
    sums = sums === undefined ? judged : addEvaluationSums(sums, judged);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (sums === undefined) throw configInvalid("the held-out set is empty");
  return sums;
}

async function forward(
  tf: TensorFlow,
  model: LayersModel,
  inputs: Float32Array,
  shape: number[],
): Promise<Float32Array> {
  const outputs = tf.tidy(() => {
    const predicted = model.apply(tf.tensor(inputs, shape, "float32"), { training: false });
    if (Array.isArray(predicted) || !("dataId" in predicted)) {
      throw configInvalid("only models with one input and one output are judged");
    }
    return predicted;
  });
  try {
    return await outputs.data<"float32">();
  } finally {
    outputs.dispose();
  }
}

interface Parts {
  readonly tf: TensorFlow;
  readonly model: LayersModel;
  readonly dataset: HeldOutSet;
}

async function loadParts(options: TfjsEvaluatorOptions): Promise<Parts> {
  const get = async <T>(lazy: Lazy<T>): Promise<T> =>
    typeof lazy === "function" ? await (lazy as () => T | Promise<T>)() : lazy;
  return {
    tf: await get(options.tf),
    model: await get(options.model),
    dataset: await get(options.dataset),
  };
}

/** Variables in the order of the model's layers, all of a layer's, as the client SDK flattens them. */
function setWeights(
  tf: TensorFlow,
  model: LayersModel,
  weights: Float32Array,
  layout: Layout,
): void {
  const variables = model.layers.flatMap((layer) => layer.weights);
  if (variables.length !== layout.tensors.length) {
    throw configInvalid(
      `the evaluator's model has ${variables.length} tensors, the task's ${layout.tensors.length}`,
    );
  }
  layout.tensors.forEach((tensor, i) => {
    const variable = variables[i]?.read();
    if (variable?.shape.join() !== tensor.shape.join() || !isVariable(variable)) {
      throw configInvalid(
        `tensor ${i} ("${tensor.name}") is [${tensor.shape.join(", ")}] in the task and ` +
          `[${variable?.shape.join(", ") ?? ""}] in the evaluator's model`,
      );
    }
    // A copy: the cpu backend keeps the array that it is given, and the weights are the caller's.
    const values = weights.slice(tensor.offset, tensor.offset + tensor.size);
    tf.tidy(() => {
      variable.assign(tf.tensor(values, variable.shape, "float32"));
    });
  });
}

const isVariable = (tensor: Tensor): tensor is Variable => "assign" in tensor;

function scaled({ xs, scale = 1 }: HeldOutSet, start: number, end: number): Float32Array {
  const part = Float32Array.from(xs.subarray(start, end));
  if (scale !== 1) for (let i = 0; i < part.length; i++) part[i] = (part[i] as number) * scale;
  return part;
}

const configInvalid = (message: string) => new FederatedError("CONFIG_INVALID", message);

function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new FederatedError("ABORTED", "the evaluation was called off", { cause: signal.reason });
}
