/** What a trainer reports, as an update may say it: of real clients and of simulated ones. */

import { FederatedError } from "./errors.ts";
import type { EvaluationSums } from "./evaluation.ts";
import type { UpdateMetrics } from "./frame.ts";

/** @throws FederatedError MALFORMED_MESSAGE for a number of examples that cannot be */
export function checkExamples(numExamples: number): number {
  if (Number.isInteger(numExamples) && numExamples >= 1 && numExamples <= 0xffffffff) {
    return numExamples;
  }
  throw new FederatedError(
    "MALFORMED_MESSAGE",
    `an update needs at least one example, the trainer reports ${numExamples}`,
  );
}

/** What the plan asks for and JSON can say, and nothing that a trainer may have put beside it. */
export function metricsFor(evaluate: boolean, metrics: UpdateMetrics): UpdateMetrics {
  const { trainLoss, evaluation } = metrics;
  return {
    ...(trainLoss !== undefined && Number.isFinite(trainLoss) ? { trainLoss } : {}),
    ...(evaluate && evaluation !== undefined && Number.isFinite(evaluation.lossSum)
      ? { evaluation: sumsOf(evaluation) }
      : {}),
  };
}

function sumsOf(evaluation: EvaluationSums): EvaluationSums {
  const { numExamples, lossSum, truePositives, falsePositives, falseNegatives } = evaluation;
  return { numExamples, lossSum, truePositives, falsePositives, falseNegatives };
}
