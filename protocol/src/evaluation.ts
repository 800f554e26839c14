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
