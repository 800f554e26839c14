/** Mini-batch gradient descent: epochs over shuffled examples, a step per batch, nothing leaked. */

import { FederatedError, type TrainingPlan } from "@tributary/protocol";
import type { Scalar, Tensor, Variable } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import { throwIfAborted } from "../delay.ts";
import type { TrainingProgress } from "../trainer.ts";
import { createBreather } from "../breather.ts";
import { gatherBatch, type Dataset } from "./dataset.ts";
import { forward } from "./evaluation.ts";
import { batchLoss, type LossOptions } from "./loss.ts";
import { createOptimizer, type Optimizer } from "./optimizer.ts";
import { shuffle, type Uniform } from "./shuffle.ts";
import type { TensorFlow } from "./tensorflow.ts";
import { variableOf } from "./weights.ts";

interface Ground {
  readonly tf: TensorFlow;
  readonly model: LayersModel;
  readonly dataset: Dataset;
  readonly loss: LossOptions;
  readonly uniform: Uniform;
  readonly signal: AbortSignal;
}

/**
 * Trains the model in place on the examples of `order`, which is shuffled in place before each epoch.
 * The last batch of an epoch may be smaller than the others.
 * @returns mean training loss over the examples of the last epoch
 * @throws FederatedError ABORTED between two batches, UPDATE_NOT_FINITE when the loss is not finite
 */
export async function trainEpochs(
  ground: Ground,
  plan: TrainingPlan,
  order: Uint32Array,
  onProgress?: (progress: TrainingProgress) => void,
): Promise<number> {
  const { tf, model, dataset, uniform, signal } = ground;
  const { epochs, batchSize } = plan;
  const variables = model.trainableWeights.map(variableOf);
  const optimizer = createOptimizer(tf, plan, variables);
  const breathe = createBreather();
  const batches = Math.ceil(order.length / batchSize);
  let examples = 0;
  let meanLoss = 0;
  try {
    for (let epoch = 1; epoch <= epochs; epoch++) {
      shuffle(order, uniform);
      let lossSum = 0;
      for (let batch = 1; batch <= batches; batch++) {
        throwIfAborted(signal);
        const to = Math.min(batch * batchSize, order.length);
        const indices = order.subarray((batch - 1) * batchSize, to);
        const loss = await trainBatch(ground, dataset, indices, variables, optimizer);
        if (!Number.isFinite(loss)) throw diverged(loss, epoch, batch, plan.learningRate);
        lossSum += loss * indices.length;
        meanLoss = lossSum / to;
        examples += indices.length;
        onProgress?.({ epoch, epochs, batch, batches, examples, loss: meanLoss });
        await breathe();
      }
    }
    throwIfAborted(signal);
    return meanLoss;
  } finally {
    optimizer.dispose();
  }
}

/** One step on one batch; returns the mean loss before it. */
async function trainBatch(
  { tf, model, loss }: Ground,
  dataset: Dataset,
  indices: Uint32Array,
  variables: Variable[],
  optimizer: Optimizer,
): Promise<number> {
  const value = tf.tidy(() => {
    const batch = gatherBatch(tf, dataset, indices);
    const fit = (): Scalar => {
      const mean = batchLoss(tf, loss, forward(model, batch.inputs, true), batch);
      return model.calculateLosses().reduce<Scalar>((sum, extra) => tf.add(sum, extra), mean);
    };
    const result = differentiate(tf, fit, variables);
    optimizer.step(result.grads);
    return result.value;
  });
  try {
    return (await value.data<"float32">())[0] ?? Number.NaN;
  } finally {
    value.dispose();
  }
}

/** Loss and gradients. TF.js keeps what it saved for the backward pass when the forward pass throws. */
function differentiate(tf: TensorFlow, fit: () => Scalar, variables: Variable[]) {
  try {
    return tf.variableGrads(fit, variables);
  } catch (error) {
    const { activeTape } = tf.engine().state as { activeTape: { saved?: Tensor[] }[] | null };
    for (const { saved = [] } of activeTape ?? []) for (const tensor of saved) tensor.dispose();
    throw error;
  }
}

function diverged(loss: number, epoch: number, batch: number, learningRate: number) {
  return new FederatedError(
    "UPDATE_NOT_FINITE",
    `training diverged: the loss is ${loss} in epoch ${epoch}, batch ${batch} at learning rate ${learningRate}; lower the learning rate or check the data`,
  );
}
