/** Losses to train on, as differentiable tensors; their values agree with `judgeOutputs`. */

import { FederatedError, PROBABILITY_FLOOR, type Objective } from "@tributary/protocol";
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";

import type { Batch } from "./dataset.ts";
import type { TensorFlow } from "./tensorflow.ts";

/**
 * Loss of each example, shape [examples], from the model's output and the labels
 * [examples, labels per example], both float32. Called inside `tf.tidy`.
 */
export type CustomLoss = (output: Tensor, labels: Tensor) => Tensor;

export interface LossOptions {
  /**
   * Default `softmaxCrossEntropy`. With a function of your own, evaluation reports the loss and
   * no classes.
   */
  readonly loss?: Objective | CustomLoss;
  /** What the model's last layer gives; default `probabilities`, as with a softmax or sigmoid. */
  readonly output?: "probabilities" | "logits";
}

/** Mean loss of a batch, a scalar. @throws FederatedError CONFIG_INVALID when labels and output differ */
export function batchLoss(
  tf: TensorFlow,
  { loss = "softmaxCrossEntropy", output = "probabilities" }: LossOptions,
  outputs: Tensor,
  batch: Batch,
): Scalar {
  if (typeof loss === "function") return tf.mean(customLosses(tf, loss, outputs, batch));
  const isLogits = output === "logits";
  switch (loss) {
    case "softmaxCrossEntropy":
      return softmaxCrossEntropy(tf, outputs, batch, isLogits);
    case "binaryCrossEntropy":
      return binaryCrossEntropy(tf, outputs, batch, isLogits);
    case "meanSquaredError":
      return meanSquaredError(tf, outputs, batch);
  }
}

/** Loss of each example by the app's own function. @throws FederatedError CONFIG_INVALID */
export function customLosses(
  tf: TensorFlow,
  loss: CustomLoss,
  outputs: Tensor,
  batch: Batch,
): Tensor {
  const labels = tf.tensor(batch.labels, [batch.numExamples, batch.labelsPerExample], "float32");
  const losses = loss(outputs, labels);
  if (losses.size !== batch.numExamples) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `a custom loss must give one number per example: got ${losses.size} for ${batch.numExamples}`,
    );
  }
  return losses;
}

function softmaxCrossEntropy(tf: TensorFlow, outputs: Tensor, batch: Batch, isLogits: boolean) {
  const numClasses = outputs.size / batch.numExamples;
  const oneHot = new Float32Array(outputs.size);
  for (let i = 0; i < batch.numExamples; i++) {
    const label = batch.labels[i] as number;
    if (batch.labelsPerExample !== 1 || !(label >= 0 && label < numClasses)) {
      throw labelMismatch(`${numClasses} outputs per example, label ${label}`);
    }
    oneHot[i * numClasses + label] = 1;
  }
  const labels = tf.tensor(oneHot, [batch.numExamples, numClasses], "float32");
  const flat = tf.reshape(outputs, [batch.numExamples, numClasses]);
  const logs = isLogits ? tf.logSoftmax(flat) : tf.log(tf.add(flat, PROBABILITY_FLOOR));
  return tf.mul<Scalar>(tf.sum<Scalar>(tf.mul(labels, logs)), -1 / batch.numExamples);
}

function binaryCrossEntropy(tf: TensorFlow, outputs: Tensor, batch: Batch, isLogits: boolean) {
  if (outputs.size !== batch.numExamples || batch.labelsPerExample !== 1) {
    throw labelMismatch(
      `${outputs.size} outputs and ${batch.labels.length} labels for ${batch.numExamples} examples`,
    );
  }
  const wrong = batch.labels.find((label) => label !== 0 && label !== 1);
  if (wrong !== undefined) throw labelMismatch(`binaryCrossEntropy knows 0 and 1, got ${wrong}`);
  // +1 for the second class, -1 for the first: p(true class) = sigmoid(sign * logit).
  const signs = tf.tensor(
    batch.labels.map((label) => 2 * label - 1),
    outputs.shape,
    "float32",
  );
  if (isLogits) return tf.mean<Scalar>(tf.softplus(tf.neg(tf.mul(signs, outputs))));
  const others = tf.tensor(
    batch.labels.map((label) => 1 - label),
    outputs.shape,
    "float32",
  );
  const probabilityOfTruth = tf.add(others, tf.mul(signs, outputs));
  return tf.neg<Scalar>(tf.mean(tf.log(tf.add(probabilityOfTruth, PROBABILITY_FLOOR))));
}

function meanSquaredError(tf: TensorFlow, outputs: Tensor, batch: Batch) {
  if (outputs.size !== batch.labels.length) {
    throw labelMismatch(`${outputs.size} outputs, ${batch.labels.length} targets`);
  }
  const targets = tf.tensor(batch.labels, outputs.shape, "float32");
  return tf.mean<Scalar>(tf.squaredDifference(outputs, targets));
}

const labelMismatch = (facts: string) =>
  new FederatedError("CONFIG_INVALID", `the labels do not fit the model's output: ${facts}`);
