/**
 * The trainer port: what turns received weights into trained ones, and what serves them.
 * Pure declarations, so that anyone can train without TensorFlow.js.
 */

import type { EvaluationSums, Layout, TrainingPlan, UpdateMetrics } from "@tributary/protocol";

export interface TrainingRequest {
  /** The received global model, flat, in layout order. Read-only: the caller needs it for the delta. */
  readonly weights: Float32Array;
  readonly layout: Layout;
  readonly plan: TrainingPlan;
  /** Training stops between two batches after it aborts. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: TrainingProgress) => void;
}

/** Told after a batch; a slow listener slows training. */
export interface TrainingProgress {
  /** 1 … `epochs`. */
  readonly epoch: number;
  readonly epochs: number;
  /** Batches done in this epoch, 1 … `batches`. */
  readonly batch: number;
  readonly batches: number;
  /** Examples seen since training began, repeated ones counted each time. */
  readonly examples: number;
  /** Mean loss per example over the batches of this epoch so far. */
  readonly loss: number;
}

export interface TrainingResult {
  /** The trained model, flat, in layout order, in memory of its own. */
  readonly weights: Float32Array;
  /** Distinct local examples that took part: the update's weight under weighting by examples. */
  readonly numExamples: number;
  readonly metrics: UpdateMetrics;
}

export interface EvaluationRequest {
  readonly weights: Float32Array;
  readonly layout: Layout;
  readonly signal: AbortSignal;
}

export interface Trainer {
  /**
   * Trains the received model on local data as the plan says. With `plan.evaluate` it first judges
   * the received model on the local test split, where it has one, and reports the sums.
   * Calls on one trainer may overlap; a trainer that cannot run two at once queues them.
   * @throws FederatedError ABORTED after the signal; any other throw means that this client cannot
   * take part in the round
   */
  train(request: TrainingRequest): Promise<TrainingResult>;
  /** Judges weights on the local test split; undefined without one. @throws FederatedError ABORTED */
  evaluate?(request: EvaluationRequest): Promise<EvaluationSums | undefined>;
  /** Frees what the trainer made itself. Work that runs is aborted; later calls throw. */
  dispose?(): void;
}

/** Makes models that serve. Each load stands alone: a swap never disturbs predictions on the old one. */
export interface Predictor<Input, Output> {
  /**
   * @param weights flat, in layout order; may be reused by the caller after the promise resolves
   * @throws FederatedError UPDATE_LAYOUT_MISMATCH when the weights belong to another architecture
   */
  load(weights: Float32Array, layout: Layout): Promise<LoadedModel<Input, Output>>;
}

export interface LoadedModel<Input, Output> {
  predict(input: Input): Promise<Output>;
  /** Frees the model once predictions that run have ended. Calling it twice changes nothing. */
  dispose(): void;
}
