/**
 * From the sum of a round to the next model version: reserve the budget, add noise to the sum, divide by
 * the denominator, take the server optimizer's step, evaluate, encode. Nothing here is announced: the
 * engine commits what this makes, or drops it.
 */

import type { Digest, Evaluation, ServingCopies } from "@tributary/protocol";
import {
  blankCheckpoint,
  encodeCheckpoint,
  FederatedError,
  isCharged,
  l2Norm,
} from "@tributary/protocol";

import {
  createServerOptimizer,
  decodeOptimizerState,
  optimizerStateSlices,
} from "../aggregation/server-optimizer.ts";
import type { Slices } from "../aggregation/slices.ts";
import { inTurns, slicesOf } from "../aggregation/slices.ts";
import type { BlobKeeper } from "../model/blob-keeper.ts";
import { manifestOf } from "../model/manifest.ts";
import type { ModelShelf } from "../model/registry.ts";
import { makeCopies } from "../model/serving-copies.ts";
import type { VersionBlobs } from "../model/version-blobs.ts";
import { blobsOf } from "../model/version-blobs.ts";
import type { IntegerNoise } from "../privacy/integer-noise.ts";
import type { Reckon } from "../privacy/reckoner.ts";
import type {
  Clock,
  Evaluator,
  Logger,
  ModelVersionRecord,
  Store,
  TaskRecord,
  UnsignedVersion,
} from "../ports.ts";
import { otherTurns } from "../thread.ts";
import type { SummedRound } from "./progress.ts";
import { affordableCharge, expectedReportsOf } from "./budget.ts";
import { releaseStep } from "./matrix-run.ts";
import type { RoundSum } from "./round-sum.ts";
import { followNorm, mechanismOf } from "./round-sum.ts";

/** The newest version with what is needed to go on from it. */
export interface CurrentModel {
  readonly version: ModelVersionRecord;
  readonly weights: Float32Array;
  /** Vectors of the server optimizer; none for plain SGD or before the first step. */
  readonly optimizerState: readonly Float64Array[] | undefined;
}

/** A version that is not signed yet, and so not yet anybody's. */
export interface MadeModel extends Omit<CurrentModel, "version"> {
  readonly version: UnsignedVersion;
  /** The text to sign. */
  readonly manifest: string;
}

export interface ReleaseDeps {
  readonly store: Store;
  readonly blobs: Pick<BlobKeeper, "put" | "get" | "settle">;
  readonly shelf: ModelShelf;
  readonly clock: Clock;
  /** On the sums of private tasks. */
  readonly noise: IntegerNoise;
  /** For what the budget is asked. */
  readonly reckon: Reckon;
  readonly logger: Logger;
  readonly evaluator?: Evaluator;
}

/** @throws when the signal aborts or the result is not finite; nothing is released then */
export async function makeVersion(
  deps: ReleaseDeps,
  task: TaskRecord,
  current: CurrentModel,
  round: SummedRound,
  aggregator: RoundSum,
  signal: AbortSignal,
): Promise<MadeModel> {
  const { spec, layout } = task;
  const { mean, clippingNorm } = await releaseMean(deps, task, round, aggregator, signal);
  const sliced = <T>(slices: Slices<T>) => inTurns(slices, otherTurns, signal);
  const modelVersion = current.version.modelVersion + 1;
  // The step is written where it is served from: a vector more would be a copy, and garbage.
  const blank = blankCheckpoint(layout, modelVersion);
  const { weights, state } = await sliced(stepFrom(task, current, mean, blank?.weights));
  const evaluation = await evaluate(deps, task, weights, signal);
  signal.throwIfAborted();
  const frame = blank?.frame ?? encodeCheckpoint(layout, { modelVersion, weights });
  const digest = await deps.shelf.save(frame);
  let optimizerState: Digest | undefined;
  let copies: ServingCopies | undefined;
  let manifest: string;
  let version: UnsignedVersion;
  try {
    copies = await makeCopies(deps, task, { modelVersion, weights });
    if (state.length > 0) {
      const bytes = await sliced(optimizerStateSlices(spec.serverOptimizer.kind, state));
      optimizerState = await deps.blobs.put(bytes);
    }
    const ledger =
      spec.privacy.mechanism === "none" ? [] : await deps.store.listLedger(task.taskId);
    version = {
      taskId: task.taskId,
      modelVersion,
      digest,
      bytes: frame.length,
      roundNumber: round.roundNumber,
      createdAt: deps.clock.now(),
      ...(optimizerState === undefined ? {} : { optimizerState }),
      ...(copies === undefined ? {} : { copies }),
      ...(evaluation === undefined ? {} : { evaluation }),
      ...(clippingNorm === undefined ? {} : { clippingNorm }),
    };
    const unsigned = version;
    manifest = await deps.reckon(() => manifestOf(task, unsigned, current.version, ledger));
    signal.throwIfAborted();
  } catch (error) {
    settleBlobs(deps, { digest, optimizerState, copies });
    throw error;
  }
  return {
    version,
    manifest,
    weights,
    optimizerState: state.length === 0 ? undefined : state,
  };
}

/** The server optimizer's step, on a copy of its state: a round that comes to nothing leaves it as it was. */
function* stepFrom(
  { spec, layout: { parameterCount } }: TaskRecord,
  current: CurrentModel,
  mean: Float64Array,
  into: Float32Array | undefined,
): Slices<{ readonly weights: Float32Array; readonly state: readonly Float64Array[] }> {
  let copy: Float64Array[] | undefined;
  for (const vector of current.optimizerState ?? []) {
    const to = new Float64Array(vector.length);
    yield* slicesOf(to.length, (start, end) => to.set(vector.subarray(start, end), start));
    copy = [...(copy ?? []), to];
  }
  const optimizer = createServerOptimizer(spec.serverOptimizer, parameterCount, copy);
  const weights = yield* optimizer.stepSlices(current.weights, mean, into);
  yield* slicesOf(parameterCount, (start, end) => {
    // Of a float32 vector the norm is finite exactly when every element is.
    if (Number.isFinite(l2Norm(weights.subarray(start, end)))) return;
    throw new Error(
      "the server optimizer's step left the range of float32; lower its learningRate",
    );
  });
  return { weights, state: optimizer.state() };
}

/** A version was saved, or never will be: the store alone says from now on whether its blobs are needed. */
export function settleBlobs({ blobs }: Pick<ReleaseDeps, "blobs">, version: VersionBlobs): void {
  for (const blob of blobsOf(version)) blobs.settle(blob);
}

interface ReleasedMean {
  readonly mean: Float64Array;
  /** Under adaptive clipping: the norm for the next round, released by the same charge. */
  readonly clippingNorm?: number;
}

/** The mean delta that the version is made from; under privacy paid for before noise is drawn. */
async function releaseMean(
  deps: ReleaseDeps,
  task: TaskRecord,
  round: SummedRound,
  aggregator: RoundSum,
  signal: AbortSignal,
): Promise<ReleasedMean> {
  const { spec } = task;
  const ledger = isCharged(spec) ? await deps.store.listLedger(task.taskId) : [];
  const charge = await deps.reckon(() => affordableCharge(spec, round, ledger));
  // Of a round that was given up meanwhile nothing may be charged or released: another may have been charged since.
  signal.throwIfAborted();
  if (aggregator.kind === "mean") {
    if (isCharged(spec) || charge !== undefined)
      throw new Error("a private task must not release a plain mean");
    // Noise that the clients added is in it; the denominator is a public one all the same.
    const denominator =
      spec.privacy.mechanism === "local" ? expectedReportsOf(spec) : aggregator.totalWeight;
    return { mean: await inTurns(aggregator.meanSlices(denominator), otherTurns, signal) };
  }
  if (aggregator.kind === "robust") {
    if (spec.privacy.mechanism !== "none" || charge !== undefined)
      throw new Error("a private task must not release what a robust rule makes");
    return { mean: await aggregator.mean(signal) };
  }
  if (charge === undefined) throw new Error("a private task without a charge must not release");
  if (spec.privacy.mechanism === "matrix") {
    if (aggregator.kind !== "grid") throw new Error("a matrix run has a fixed norm");
    return { mean: await releaseStep(deps, task, round, aggregator, charge) };
  }
  const mechanism = mechanismOf(spec, aggregator.grid, deps.noise);
  await deps.store.reserveLedger({
    roundId: round.roundId,
    taskId: task.taskId,
    charge,
    status: "reserved",
    reservedAt: deps.clock.now(),
  });
  const mean = await mechanism.release(aggregator.sum());
  if (aggregator.kind === "grid") return { mean };
  return { mean, clippingNorm: await followNorm(spec, aggregator, deps.noise) };
}

function* copyOf(weights: Float32Array): Slices<Float32Array> {
  const copy = new Float32Array(weights.length);
  yield* slicesOf(copy.length, (start, end) => copy.set(weights.subarray(start, end), start));
  return copy;
}

/** A failing evaluator costs its figures, never the round. */
async function evaluate(
  { evaluator, logger }: ReleaseDeps,
  task: TaskRecord,
  weights: Float32Array,
  signal: AbortSignal,
): Promise<Evaluation | undefined> {
  if (evaluator === undefined) return undefined;
  try {
    // Its own: whatever it does to them, and whenever, the model stays what it is.
    const own = await inTurns(copyOf(weights), otherTurns, signal);
    const evaluation = await evaluator.evaluate(own, task.layout, signal);
    if (!Number.isFinite(evaluation.loss)) throw new RangeError("the loss is not finite");
    return evaluation;
  } catch (error) {
    signal.throwIfAborted();
    logger.warn({ taskId: task.taskId, error }, "the evaluator failed; the version has no figures");
    return undefined;
  }
}

/**
 * The model that a version's record describes.
 * @throws FederatedError MODEL_NOT_FOUND or CHECKPOINT_CORRUPT when its bytes are gone or damaged
 */
export async function loadModel(
  { shelf, blobs }: Pick<ReleaseDeps, "shelf" | "blobs">,
  task: TaskRecord,
  version: ModelVersionRecord,
  decode: (frame: Uint8Array) => Float32Array,
): Promise<CurrentModel> {
  const weights = decode(await shelf.checkpoint(version.digest));
  if (version.optimizerState === undefined) return { version, weights, optimizerState: undefined };
  const bytes = await blobs.get(version.optimizerState);
  if (bytes === undefined) {
    throw new FederatedError(
      "CHECKPOINT_CORRUPT",
      `the optimizer state ${version.optimizerState} of version ${version.modelVersion} is missing`,
    );
  }
  const { kind } = task.spec.serverOptimizer;
  return {
    version,
    weights,
    optimizerState: decodeOptimizerState(bytes, kind, task.layout.parameterCount),
  };
}
