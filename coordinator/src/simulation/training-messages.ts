/** What the simulation and its threads say to each other. */

import type { Evaluation } from "@tributary/protocol";

import type { PopulationSettings } from "./population.ts";
import type { SyntheticOptions } from "./synthetic-clients.ts";
import type { TrainedUpdate, TrainingJob } from "./train-client.ts";

/** Where clients come from, as a thread can make them: from a module, or from numbers. */
export type PopulationOrigin =
  | { readonly kind: "module"; readonly file: string }
  | { readonly kind: "synthetic"; readonly options: SyntheticOptions };

/** The first one is `make`. Weights lie in memory that all threads share. */
export type TrainingQuestion =
  | {
      readonly kind: "make";
      readonly origin: PopulationOrigin;
      readonly settings: PopulationSettings;
    }
  | ({ readonly kind: "train" } & TrainingJob)
  | { readonly kind: "evaluate"; readonly weights: Float32Array };

export interface PopulationFacts {
  readonly size: number;
  readonly hasEvaluator: boolean;
  readonly initialWeights?: Float32Array;
}

/** Why there is none: the code where it has one, for an error keeps nothing else on its way between threads. */
export interface Failure {
  readonly kind: "failed";
  readonly code?: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export type Trained = { readonly kind: "trained" } & TrainedUpdate;

export type TrainingAnswer =
  | { readonly kind: "made"; readonly facts: PopulationFacts }
  | Trained
  | { readonly kind: "evaluated"; readonly evaluation: Evaluation }
  | Failure;
