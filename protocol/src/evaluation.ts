/** Quality of a model as sums that can be added over clients, and the measures made from them. */

/** Sums over examples. Adding two of them element-wise gives the sums of both sets together. */
export interface EvaluationSums {
  readonly numExamples: number;
  /** Sum (not mean) of the loss over the examples. */
  readonly lossSum: number;
  /** Per class: examples of the class predicted as it. Empty for a task without classes. */
  readonly truePositives: readonly number[];
  /** Per class: examples of another class predicted as it. */
  readonly falsePositives: readonly number[];
  /** Per class: examples of the class predicted as another. */
  readonly falseNegatives: readonly number[];
}

export interface ClassScores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Examples that truly belong to the class. */
  readonly support: number;
}

export interface Evaluation {
  /** `central`: a held-out set at the coordinator. `federated`: sums reported by clients. */
  readonly source: "central" | "federated";
  readonly numExamples: number;
  /** Mean loss per example. */
  readonly loss: number;
  /** Share of examples classified correctly; absent for a task without classes, as are the rest. */
  readonly accuracy?: number;
  /** Unweighted means over classes. */
  readonly macro?: Omit<ClassScores, "support">;
  readonly perClass?: readonly ClassScores[];
}

/** Most classes an evaluation may have: bounds what a client can make the coordinator hold. */
export const MAX_CLASSES = 1000;

/** A ratio whose empty case is 0, as scikit-learn's `zero_division=0`. */
const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

const mean = (values: readonly number[]): number =>
  ratio(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  );

/** Precision, recall and F1 of each class from its counts. */
function scoreClasses(sums: EvaluationSums): ClassScores[] {
  return sums.truePositives.map((truePositives, k) => {
    const falsePositives = sums.falsePositives[k] ?? 0;
    const falseNegatives = sums.falseNegatives[k] ?? 0;
    return {
      precision: ratio(truePositives, truePositives + falsePositives),
      recall: ratio(truePositives, truePositives + falseNegatives),
      f1: ratio(2 * truePositives, 2 * truePositives + falsePositives + falseNegatives),
      support: truePositives + falseNegatives,
    };
  });
}

/**
 * Measures of a set of sums. Macro means run over all classes, a class without examples counting 0.
 * @throws RangeError for no examples: there is nothing to measure
 */
export function summarizeEvaluation(
  sums: EvaluationSums,
  source: Evaluation["source"],
): Evaluation {
  if (sums.numExamples < 1) throw new RangeError("an evaluation needs at least one example");
  const base = { source, numExamples: sums.numExamples, loss: sums.lossSum / sums.numExamples };
  if (sums.truePositives.length === 0) return base;
  const perClass = scoreClasses(sums);
  const correct = sums.truePositives.reduce((sum, count) => sum + count, 0);
  return {
    ...base,
    accuracy: correct / sums.numExamples,
    macro: {
      precision: mean(perClass.map((scores) => scores.precision)),
      recall: mean(perClass.map((scores) => scores.recall)),
      f1: mean(perClass.map((scores) => scores.f1)),
    },
    perClass,
  };
}

/** Element-wise sum. @throws RangeError when the numbers of classes differ */
export function addEvaluationSums(a: EvaluationSums, b: EvaluationSums): EvaluationSums {
  if (a.truePositives.length !== b.truePositives.length) {
    throw new RangeError(
      `cannot add evaluations of ${a.truePositives.length} and ${b.truePositives.length} classes`,
    );
  }
  const add = (x: readonly number[], y: readonly number[]) =>
    x.map((value, i) => value + (y[i] ?? 0));
  return {
    numExamples: a.numExamples + b.numExamples,
    lossSum: a.lossSum + b.lossSum,
    truePositives: add(a.truePositives, b.truePositives),
    falsePositives: add(a.falsePositives, b.falsePositives),
    falseNegatives: add(a.falseNegatives, b.falseNegatives),
  };
}

/**
 * What a model's outputs mean and how they are judged: one probability (or logit) per class, one for
 * the second of two classes, or numbers.
 */
export type Objective = "softmaxCrossEntropy" | "binaryCrossEntropy" | "meanSquaredError";

export interface JudgedOutputs {
  readonly objective: Objective;
  /** `logits`: the outputs have not been through softmax or sigmoid yet. */
  readonly output: "probabilities" | "logits";
  /** Row-major, one row per example. */
  readonly outputs: ArrayLike<number>;
  /** Class per example, or for `meanSquaredError` as many targets per example as outputs. */
  readonly labels: ArrayLike<number>;
  readonly numExamples: number;
}

/** Added to a probability before its logarithm, so that a confident mistake costs 16.1 and not Infinity. */
export const PROBABILITY_FLOOR = 1e-7;

const NO_CLASSES = { truePositives: [], falsePositives: [], falseNegatives: [] };

/**
 * Judges a batch of outputs: sum of losses and, with classes, the counts per class. Of equal largest
 * outputs the first wins; two classes split at probability 0.5, which belongs to the second.
 * @throws RangeError for outputs that are not finite, a label that is no class of the outputs, or
 * numbers of outputs and labels that do not fit
 */
export function judgeOutputs(batch: JudgedOutputs): EvaluationSums {
  const { objective, outputs, labels, numExamples } = batch;
  const width = outputs.length / numExamples;
  const labelWidth = objective === "meanSquaredError" ? width : 1;
  if (!Number.isInteger(width) || labels.length !== numExamples * labelWidth) {
    throw new RangeError(
      `${outputs.length} outputs and ${labels.length} labels do not fit ${numExamples} examples`,
    );
  }
  for (let i = 0; i < outputs.length; i++) {
    if (!Number.isFinite(outputs[i])) throw new RangeError("the model's output is not finite");
  }
  if (objective === "meanSquaredError") {
    const lossSum = squaredErrorSum(outputs, labels) / width;
    return { numExamples, lossSum, ...NO_CLASSES };
  }
  if (objective === "binaryCrossEntropy" && width !== 1) {
    throw new RangeError(`binaryCrossEntropy needs one output per example, got ${width}`);
  }
  return classify(batch, width);
}

function squaredErrorSum(outputs: ArrayLike<number>, targets: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < outputs.length; i++) sum += (Number(outputs[i]) - Number(targets[i])) ** 2;
  return sum;
}

function classify(batch: JudgedOutputs, width: number): EvaluationSums {
  const { objective, output, outputs, labels, numExamples } = batch;
  const binary = objective === "binaryCrossEntropy";
  const numClasses = binary ? 2 : width;
  const counts = () => new Array<number>(numClasses).fill(0);
  const [truePositives, falsePositives, falseNegatives] = [counts(), counts(), counts()];
  const count = (target: number[], k: number) => (target[k] = (target[k] ?? 0) + 1);
  let lossSum = 0;
  for (let i = 0; i < numExamples; i++) {
    const label = Number(labels[i]);
    if (!Number.isInteger(label) || label < 0 || label >= numClasses) {
      throw new RangeError(`label ${label} of example ${i} is none of ${numClasses} classes`);
    }
    const row = Array.from({ length: width }, (_, k) => Number(outputs[i * width + k]));
    const scores = binary ? twoClasses(row[0] ?? 0, output) : row;
    const isLogits = output === "logits";
    lossSum += isLogits
      ? logSumExp(scores) - (scores[label] ?? 0)
      : negativeLog(scores[label] ?? 0);
    const predicted = binary
      ? Number((scores[1] ?? 0) >= (scores[0] ?? 0))
      : scores.indexOf(Math.max(...scores));
    if (predicted === label) {
      count(truePositives, label);
    } else {
      count(falsePositives, predicted);
      count(falseNegatives, label);
    }
  }
  return { numExamples, lossSum, truePositives, falsePositives, falseNegatives };
}

/** A sigmoid is the softmax of [0, x]. */
const twoClasses = (score: number, output: JudgedOutputs["output"]): number[] =>
  output === "logits" ? [0, score] : [1 - score, score];

const negativeLog = (probability: number): number =>
  -Math.log(Math.max(probability, 0) + PROBABILITY_FLOOR);

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}
