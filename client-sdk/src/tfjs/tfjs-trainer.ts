/** A trainer for any TF.js layers model: mini-batch gradient descent on local data, as the plan says. */

import { FederatedError, l2Norm, type UpdateMetrics } from "@tributary/protocol";
import type { LayersModel } from "@tensorflow/tfjs-layers";

import { throwIfAborted } from "../delay.ts";
import { once } from "../once.ts";
import type { EvaluationRequest, Trainer, TrainingRequest, TrainingResult } from "../trainer.ts";
import { countExamples, loadDataset, type Dataset, type DatasetSource } from "./dataset.ts";
import { evaluateModel } from "./evaluation.ts";
import type { LossOptions } from "./loss.ts";
import { withModel } from "./model-lock.ts";
import { ascending, createUniform, shuffle, type Uniform } from "./shuffle.ts";
import type { TensorFlow } from "./tensorflow.ts";
import { trainEpochs } from "./training-loop.ts";
import { assertModelFits, readWeights, writeWeights } from "./weights.ts";

export interface TfjsTrainerOptions extends LossOptions {
  /** The app's TensorFlow.js with its backend chosen; see `chooseBackend`. */
  readonly tf: TensorFlow;
  /**
   * A model with one input and one output. An object stays the app's: trainers may share it, and take
   * turns. A function is called once, and its model belongs to this trainer.
   */
  readonly model: LayersModel | (() => LayersModel | Promise<LayersModel>);
  /** Local training examples; a function is asked before each training, since data grow. */
  readonly dataset: DatasetSource;
  /**
   * Local examples that are never trained on: what `plan.evaluate` judges the received model by. A function is
   * asked before each evaluation.
   */
  readonly testSet?: DatasetSource;
  /** Mixed with the plan's seed, and used where the plan has none; absent, order is not repeatable. */
  readonly seed?: number;
}

/** Makes a {@link Trainer}. Nothing is loaded or built before it is needed. */
export function createTfjsTrainer(options: TfjsTrainerOptions): Trainer {
  const { tf, dataset, testSet, seed } = options;
  const closing = new AbortController();
  const ownModel = once(() =>
    typeof options.model === "function" ? options.model() : options.model,
  );
  let runs = 0;

  /** Runs `work` alone on the model, holding the received weights, until either signal aborts. */
  const onReceivedModel = async <T>(
    { weights, layout, signal }: EvaluationRequest,
    work: (model: LayersModel, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    return withEither(signal, closing.signal, async (either) => {
      throwIfAborted(either);
      const model = await ownModel.get();
      assertModelFits(model, layout);
      return withModel(model, either, () => {
        writeWeights(tf, model, weights);
        return work(model, either);
      });
    });
  };

  const evaluate = async (model: LayersModel, signal: AbortSignal) => {
    if (testSet === undefined) return undefined;
    const examples = await loadDataset(testSet);
    if (countExamples(examples) === 0) return undefined;
    return evaluateModel(tf, model, examples, options, signal);
  };

  const train = async (request: TrainingRequest): Promise<TrainingResult> => {
    const { plan } = request;
    const examples = await loadDataset(dataset);
    const run = ++runs;
    const uniform = createUniform(...seedsOf(plan.seed, seed, run));
    if (countExamples(examples) === 0) throw noExamples(dataset);
    const order = chooseExamples(examples, plan.maxExamples, uniform);
    return onReceivedModel(request, async (model, signal) => {
      const evaluation = plan.evaluate ? await evaluate(model, signal) : undefined;
      const trainLoss = await trainEpochs(
        { tf, model, dataset: examples, loss: options, uniform, signal },
        plan,
        order,
        request.onProgress,
      );
      const weights = readWeights(model);
      if (!Number.isFinite(l2Norm(weights))) {
        throw new FederatedError(
          "UPDATE_NOT_FINITE",
          `training diverged at learning rate ${plan.learningRate}: the weights are not finite; lower the learning rate`,
        );
      }
      const metrics: UpdateMetrics = {
        trainLoss,
        ...(evaluation === undefined ? {} : { evaluation }),
      };
      return { weights, numExamples: order.length, metrics };
    });
  };

  return {
    train,
    evaluate: (request) => onReceivedModel(request, evaluate),
    dispose: () => {
      if (closing.signal.aborted) return;
      closing.abort(new Error("the trainer was disposed"));
      if (typeof options.model !== "function") return;
      // After the work that holds the model: it ends soon, since its signal has aborted.
      const never = new AbortController().signal;
      ownModel
        .made()
        ?.then((model) => withModel(model, never, async () => void model.dispose()))
        .catch(() => undefined); // A model that could not be built needs no disposal.
    },
  };
}

/** The plan's seed first; without any seed, one drawn at random. */
function seedsOf(plan: number | undefined, own: number | undefined, run: number): number[] {
  if (plan !== undefined) return own === undefined ? [plan] : [plan, own];
  if (own !== undefined) return [own, run];
  return [...crypto.getRandomValues(new Uint32Array(4))];
}

/** A function may have some for a later round; an object never will. */
const noExamples = (source: DatasetSource) =>
  new FederatedError(
    typeof source === "function" ? "UNAVAILABLE" : "CONFIG_INVALID",
    "there are no local examples to train on",
  );

/** The examples that take part: all, or a random `maxExamples` of them. */
function chooseExamples(
  dataset: Dataset,
  maxExamples: number | undefined,
  uniform: Uniform,
): Uint32Array {
  const order = ascending(countExamples(dataset));
  if (maxExamples === undefined || maxExamples >= order.length) return order;
  shuffle(order, uniform);
  return order.slice(0, maxExamples);
}

/** A signal that follows two others while `work` runs, and leaves no listener on them. */
async function withEither<T>(
  first: AbortSignal,
  second: AbortSignal,
  work: (either: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const follow = () => controller.abort(first.aborted ? first.reason : second.reason);
  if (first.aborted || second.aborted) follow();
  first.addEventListener("abort", follow);
  second.addEventListener("abort", follow);
  try {
    return await work(controller.signal);
  } finally {
    first.removeEventListener("abort", follow);
    second.removeEventListener("abort", follow);
  }
}
