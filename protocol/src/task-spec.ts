/** A task as its author describes it: model, plan, strategy, privacy, schedule, end. */

import type { AggregationInput, AggregationSpec } from "./aggregation.ts";
import type { TaskId } from "./ids.ts";
import type { TensorSpec } from "./layout.ts";
import type { LocalNoise, ParticipationLimits, TrainingPlan } from "./plan.ts";
import type { ServingEncoding } from "./serving-copy.ts";

/** Who of the waiting clients takes part in a round. */
export type SamplerSpec =
  /** Every client that waits when the round starts. */
  | { readonly kind: "all" }
  /** `cohortSize` distinct clients, every subset equally likely. */
  | {
      readonly kind: "uniform";
      readonly cohortSize: number;
      /** Selects `ceil(cohortSize * (1 + overSelection))`, to make up for drop-outs. */
      readonly overSelection: number;
      /** Repeatable choice, for experiments without privacy. */
      readonly seed?: number;
    }
  /** An independent coin for each waiting client, probability `samplingRate`; no top-up. */
  | {
      readonly kind: "poisson";
      /** q in (0, 1]. */
      readonly samplingRate: number;
      /** Public size N of the population; q * N is the expected cohort. */
      readonly population: number;
      /**
       * Places of a round: of more heads, so many are chosen. Where it is below about q N + 5 sqrt(q N), privacy
       * costs clearly more.
       */
      readonly maxCohort?: number;
      readonly seed?: number;
    };

export type Weighting =
  | { readonly kind: "uniform" }
  /** Weight = min(numExamples, cap). */
  | { readonly kind: "byExamples"; readonly cap: number };

/** How the coordinator applies the mean delta (Reddi et al. 2020, "Adaptive Federated Optimization"). */
export type ServerOptimizerSpec =
  | { readonly kind: "sgd"; readonly learningRate: number }
  | { readonly kind: "momentum"; readonly learningRate: number; readonly momentum: number }
  | {
      readonly kind: "adagrad";
      readonly learningRate: number;
      readonly beta1: number;
      /** Degree of adaptivity: added to the root of the second moment, > 0. */
      readonly tau: number;
    }
  | {
      readonly kind: "adam" | "yogi";
      readonly learningRate: number;
      readonly beta1: number;
      readonly beta2: number;
      readonly tau: number;
    };

/**
 * How noise is drawn: `fast`, a rounded normal of double precision, or `exact`, a discrete Gaussian by integer
 * arithmetic, which approximates nothing, takes fifty times as long, and is accounted by Renyi divergences alone.
 */
export type NoiseKind = "fast" | "exact";

/**
 * The clipping norm follows a quantile of the clients' norms, which is estimated under the same noise budget
 * (Andrew et al. 2021, arXiv:1905.03871). The task's `clippingNorm` is where it begins.
 */
export interface AdaptiveClipping {
  /** gamma in (0, 1): the share of norms that the clipping norm is to be at or above. */
  readonly targetQuantile: number;
  /** eta: after a round the norm is multiplied by exp(-eta * (share at or below it - targetQuantile)). */
  readonly learningRate: number;
  /** Standard deviation of the noise on the count of norms at or below, in clients; above z / 2. */
  readonly bitNoiseStddev: number;
  readonly minNorm: number;
  /** Clients clip to twice this norm, so that the coordinator sees which norms are above the current one. */
  readonly maxNorm: number;
}

export interface CentralPrivacy {
  readonly mechanism: "central";
  /** z: standard deviation of the noise on the sum, divided by the clipping norm. */
  readonly noiseMultiplier: number;
  readonly delta: number;
  /** The task ends before the round that would exceed it. */
  readonly maxEpsilon: number;
  /** Absent: `fast`. */
  readonly noise?: NoiseKind;
  /** Absent: every round clips to the task's `clippingNorm`. */
  readonly adaptiveClipping?: AdaptiveClipping;
}

/**
 * How the noise of a run hangs together. "blt": a few geometric series (Dvijotham et al. 2024), each of which is
 * remembered as one vector of the model's size; "tree": sums of 1, 2, 4, … steps.
 */
export type FactorizationSpec =
  | { readonly kind: "blt"; readonly decays: readonly number[]; readonly scales: readonly number[] }
  | { readonly kind: "tree" };

/** DP-FTRL: noise that takes back part of the noise before it, for clients that keep limits instead of being drawn. */
export interface MatrixPrivacy extends ParticipationLimits {
  readonly mechanism: "matrix";
  /** z: standard deviation of the noise, divided by what one client can change in the whole run. */
  readonly noiseMultiplier: number;
  readonly delta: number;
  /** The run costs the same from its first step to its last; a task that costs more is refused. */
  readonly maxEpsilon: number;
  readonly factorization: FactorizationSpec;
  /** Steps of the run: the task ends after so many. A round takes one when its noise is drawn, and none before. */
  readonly rounds: number;
}

/** Each client adds the noise itself and accounts for it; the coordinator charges nothing. */
export interface LocalPrivacy extends LocalNoise {
  readonly mechanism: "local";
}

export interface ScheduleSpec {
  /** Clients that must wait before a round selects; fewer are taken only at the deadline. */
  readonly minClients: number;
  /**
   * Reports without which a round is abandoned. Under central noise a round that has drawn its cohort is released
   * whatever comes; so many must be expected of the clients that wait for it to draw one before `minClients` do.
   */
  readonly minReports: number;
  /** Longest wait for `minClients`. */
  readonly selectionDeadlineMs: number;
  /** Time from assignment to the last report. */
  readonly reportWindowMs: number;
  /** Longest aggregation, evaluation included. */
  readonly aggregationDeadlineMs: number;
  /** Rest between two rounds. */
  readonly pauseBetweenRoundsMs: number;
}

export type TargetMetric = "accuracy" | "macroF1" | "loss";

export interface StopSpec {
  /** Ends after this many committed rounds. */
  readonly maxRounds?: number;
  /** Ends once accuracy or macroF1 is at least, or loss at most, `value`. */
  readonly target?: { readonly metric: TargetMetric; readonly value: number };
}

export type EvaluationSpec =
  | { readonly kind: "none" }
  /** By an evaluator that the coordinator's operator registered under this name. */
  | { readonly kind: "central"; readonly evaluator: string }
  /** Clients evaluate the model they receive on a local split and report sums only. */
  | {
      readonly kind: "federated";
      /** Classes that the clients' counts run over; 0 where only the loss is meant. */
      readonly numClasses: number;
    };

export interface ServingSpec {
  /** Copies of every version in fewer bits, for clients that serve it; made when it is committed. */
  readonly encodings: readonly ServingEncoding[];
}

interface TaskSpecBase {
  readonly taskId: TaskId;
  readonly description: string;
  readonly model: { readonly tensors: readonly TensorSpec[] };
  /** The plan without what the coordinator fills in itself. */
  readonly plan: Omit<TrainingPlan, "clippingNorm" | "localNoise" | "participation" | "evaluate">;
  readonly sampler: SamplerSpec;
  readonly serverOptimizer: ServerOptimizerSpec;
  readonly schedule: ScheduleSpec;
  readonly stop: StopSpec;
  readonly evaluation: EvaluationSpec;
  /** Absent: the exact checkpoints are all there is. */
  readonly serving?: ServingSpec;
}

/** A task without noise: its rounds release what the rule makes of the updates. */
export interface PlainTaskSpec extends TaskSpecBase {
  readonly privacy: { readonly mechanism: "none" };
  readonly aggregation: AggregationSpec;
  /** Uniform unless the aggregation is the mean. */
  readonly weighting: Weighting;
  readonly clippingNorm?: number;
}

/** A task under user-level differential privacy: weights are uniform and every delta is clipped. */
export interface PrivateTaskSpec extends TaskSpecBase {
  readonly privacy: CentralPrivacy | MatrixPrivacy | LocalPrivacy;
  readonly aggregation: { readonly kind: "mean" };
  readonly weighting: { readonly kind: "uniform" };
  readonly clippingNorm: number;
}

/** A complete task, every default filled in. */
export type TaskSpec = PlainTaskSpec | PrivateTaskSpec;

/** Does the coordinator keep account of what each release costs? Clients with local noise do it themselves. */
export const isCharged = ({ privacy }: Pick<TaskSpec, "privacy">): boolean =>
  privacy.mechanism !== "none" && privacy.mechanism !== "local";

type AtLeast<T, K extends keyof T> = Partial<T> & Pick<T, K>;
/** Makes the fields optional that have a default, in each member of a union. */
type Optional<T, K extends PropertyKey> = T extends unknown
  ? Omit<T, K> & Partial<Pick<T, K & keyof T>>
  : never;

/** A task as it may be written: everything that has a default may be left out. */
export interface TaskSpecInput {
  readonly taskId: string;
  readonly description?: string;
  readonly model: { readonly tensors: readonly TensorSpec[] };
  readonly plan?: Partial<
    Omit<
      TrainingPlan,
      "clippingNorm" | "localNoise" | "participation" | "evaluate" | "optimizer" | "encoding"
    > & {
      readonly optimizer: Optional<
        TrainingPlan["optimizer"],
        "momentum" | "beta1" | "beta2" | "epsilon"
      >;
      readonly encoding: Optional<TrainingPlan["encoding"], "values" | "feedback">;
    }
  >;
  readonly sampler?: Optional<SamplerSpec, "overSelection">;
  readonly aggregation?: AggregationInput;
  readonly weighting?: Weighting;
  readonly serverOptimizer?: Optional<
    ServerOptimizerSpec,
    "learningRate" | "momentum" | "beta1" | "beta2" | "tau"
  >;
  readonly clippingNorm?: number;
  readonly privacy?:
    | { readonly mechanism: "none" }
    | (Omit<CentralPrivacy, "adaptiveClipping"> & {
        readonly adaptiveClipping?: Partial<AdaptiveClipping>;
      })
    | (Omit<MatrixPrivacy, "factorization"> & {
        /** Without series: the coordinator finds the best for the run. */
        readonly factorization?: Optional<FactorizationSpec, "decays" | "scales">;
      })
    | LocalPrivacy;
  readonly schedule?: AtLeast<ScheduleSpec, never>;
  readonly stop?: StopSpec;
  readonly evaluation?: EvaluationSpec;
  readonly serving?: ServingSpec;
}
