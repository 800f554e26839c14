/** What a participant is asked to do: the training plan that travels with every assignment. */

/** How the client's optimizer turns gradients into steps. */
export type ClientOptimizer =
  | { readonly kind: "sgd" }
  | { readonly kind: "momentum"; readonly momentum: number }
  | {
      readonly kind: "adam";
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
    };

/** How numbers are written: as they are, their upper halves, or as small whole numbers with one scale for 1 024. */
export type ValueEncoding = "float32" | "bfloat16" | "int8" | "int4";

/**
 * How the payload of an update is encoded; `encoding/` has the formats. int8 and int4 are rounded by chance, so that
 * their mean is the number itself; bfloat16 is rounded to nearest.
 */
export type Encoding =
  | { readonly kind: ValueEncoding }
  /** A share of the numbers: "topK" the largest, "randomK" one of every stratum, chosen by a seed. */
  | {
      readonly kind: "topK" | "randomK";
      /** In (0, 1]: share of the parameters that is sent. */
      readonly fraction: number;
      readonly values: ValueEncoding;
      /**
       * The client keeps what it did not send, and adds it to its next delta (Karimireddy et al. 2019,
       * arXiv:1901.09847). Without, "randomK" multiplies what it sends so that the mean is right, and "topK" forgets.
       * So a task that says nothing of it has it with "topK", and not with "randomK".
       */
      readonly feedback: boolean;
    };

/** What is put on top of the encoding, as `Content-Encoding`, by clients that can. */
export type Compression = "none" | "brotli";

/**
 * Noise that the client adds itself, before anything leaves it: Gaussian, of `noiseMultiplier * 2 * clippingNorm`
 * on its clipped delta, as any two deltas of one client are at most 2 C apart.
 */
export interface LocalNoise {
  /** z: standard deviation of the noise, divided by 2 C. */
  readonly noiseMultiplier: number;
  readonly delta: number;
  /** A client takes part only while all rounds of its own cost at most this much. */
  readonly maxEpsilon: number;
}

/** How often one client may be in the sums of a task. */
export interface ParticipationLimits {
  /** b >= 1: any two of its rounds are at least so many apart; 1 allows each. */
  readonly minSeparation: number;
  /** k >= 1: rounds in all. */
  readonly maxParticipations: number;
}

export interface TrainingPlan {
  /** Passes over the local examples (E), an integer >= 1. */
  readonly epochs: number;
  /** Examples per step (B), an integer >= 1. */
  readonly batchSize: number;
  /** Step size of the client's optimizer, > 0. */
  readonly learningRate: number;
  readonly optimizer: ClientOptimizer;
  /** FedProx: adds `proximalMu / 2 * |w - w_received|^2` to the loss (Li et al. 2020). 0 is FedAvg. */
  readonly proximalMu: number;
  /** L2 bound C on the delta, in the model's own units; the client clips to it, the server checks. */
  readonly clippingNorm?: number;
  /** The client adds noise to its clipped delta and accounts for it; only with `clippingNorm`. */
  readonly localNoise?: LocalNoise;
  /** What the privacy of the task rests on: a client that is asked sooner or more often does not train. */
  readonly participation?: ParticipationLimits;
  /** Uses at most so many of the local examples. */
  readonly maxExamples?: number;
  /** Evaluate the received model on the local test split first, and report the sums. */
  readonly evaluate: boolean;
  readonly encoding: Encoding;
  readonly compression: Compression;
  /** Makes local shuffling repeatable. Absent: the client draws its own. */
  readonly seed?: number;
}
