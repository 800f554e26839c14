/** Answers what a simulation asks of its clients, one question after another: in a thread, or where it is called. */

import { isFederatedError } from "@tributary/protocol";

import type { ClientPopulation, PopulationSettings } from "./population.ts";
import { trainClient } from "./train-client.ts";
import type {
  Failure,
  PopulationFacts,
  TrainingAnswer,
  TrainingQuestion,
} from "./training-messages.ts";

export interface Trainees {
  readonly facts: PopulationFacts;
  answer(question: Exclude<TrainingQuestion, { kind: "make" }>): Promise<TrainingAnswer>;
}

export function createTrainees(
  population: ClientPopulation,
  settings: PopulationSettings,
  signal: AbortSignal,
): Trainees {
  const { size, evaluator, initialWeights } = population;
  return {
    facts: {
      size,
      hasEvaluator: evaluator !== undefined,
      ...(initialWeights === undefined ? {} : { initialWeights }),
    },
    answer: async (question) => {
      try {
        if (question.kind === "train") {
          return {
            kind: "trained",
            ...(await trainClient(population, settings, question, signal)),
          };
        }
        if (evaluator === undefined) throw new Error("the clients have no evaluator");
        // A copy of its own: the shared one is everybody's.
        const weights = question.weights.slice();
        const evaluation = await evaluator.evaluate(weights, settings.layout, signal);
        return { kind: "evaluated", evaluation };
      } catch (error) {
        return failureOf(error);
      }
    },
  };
}

export function failureOf(error: unknown): Failure {
  if (!isFederatedError(error)) {
    return { kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, details } = error;
  return { kind: "failed", code, message, ...(details === undefined ? {} : { details }) };
}
