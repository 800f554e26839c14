/** Runs a model forward and judges it on local examples, reporting sums only. */

import {
  addEvaluationSums,
  FederatedError,
  judgeOutputs,
  type EvaluationSums,
} from "@tributary/protocol";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import { throwIfAborted } from "../delay.ts";
import { createBreather } from "../breather.ts";
import { ascending } from "./shuffle.ts";
import { countExamples, gatherBatch, type Batch, type Dataset } from "./dataset.ts";
import { customLosses, type LossOptions } from "./loss.ts";
import type { TensorFlow } from "./tensorflow.ts";

/** 256: large enough that the cost per batch vanishes, small enough to keep the event loop's turns. */
const EVALUATION_BATCH = 256;

/**
 * The model's one output. `training` switches dropout and the statistics of batch normalisation.
 * @throws FederatedError CONFIG_INVALID for a model with several outputs
 */
export function forward(model: LayersModel, inputs: Tensor, training: boolean): Tensor {
  const outputs = model.apply(inputs, { training });
  if (Array.isArray(outputs) || !("dataId" in outputs)) {
    throw new FederatedError("CONFIG_INVALID", "only models with one input and one output train");
  }
  return outputs;
}

/**
 * Sums over all examples of the data set.
 * @throws FederatedError ABORTED, CONFIG_INVALID for an empty set; RangeError for outputs that are
 * not finite
 */
export async function evaluateModel(
  tf: TensorFlow,
  model: LayersModel,
  dataset: Dataset,
  options: LossOptions,
  signal: AbortSignal,
): Promise<EvaluationSums> {
  const count = countExamples(dataset);
  const breathe = createBreather();
  const order = ascending(count);
  let sums: EvaluationSums | undefined;
  for (let at = 0; at < count; at += EVALUATION_BATCH) {
    throwIfAborted(signal);
    const batch = gatherBatch(tf, dataset, order.subarray(at, at + EVALUATION_BATCH));
    const judged = await judgeBatch(tf, model, batch, options);
    sums = sums === undefined ? judged : addEvaluationSums(sums, judged);
    await breathe();
  }
  if (sums === undefined) throw new FederatedError("CONFIG_INVALID", "the test split is empty");
  return sums;
}

async function judgeBatch(
  tf: TensorFlow,
  model: LayersModel,
  batch: Batch,
  options: LossOptions,
): Promise<EvaluationSums> {
  const { loss = "softmaxCrossEntropy", output = "probabilities" } = options;
  const { labels, numExamples } = batch;
  const isCustom = typeof loss === "function";
  let result: Tensor | undefined;
  try {
    result = tf.tidy(() => {
      const outputs = forward(model, batch.inputs, false);
      return isCustom ? tf.sum(customLosses(tf, loss, outputs, batch)) : outputs;
    });
    const values = await result.data<"float32">();
    if (!isCustom) {
      return judgeOutputs({ objective: loss, output, outputs: values, labels, numExamples });
    }
    const lossSum = values[0] ?? Number.NaN;
    if (!Number.isFinite(lossSum)) throw new RangeError("the model's loss is not finite");
    return { numExamples, lossSum, truePositives: [], falsePositives: [], falseNegatives: [] };
  } finally {
    batch.inputs.dispose();
    result?.dispose();
  }
}
