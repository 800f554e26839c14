/**
 * One virtual client's work on one assignment, as the client SDK does it: train, delta, clip, local noise, encode.
 * A pure function of its request and of the client's number: which thread does it, and when, changes no bit.
 */

import type { Checksum, Encoding, Layout, TrainingPlan } from "@tributary/protocol";
import {
  checkExamples,
  checksumOf,
  clipToNorm,
  FederatedError,
  FRAME_HEADER_BYTES,
  frameUpdate,
  l2Norm,
  maxPayloadBytes,
  metricsFor,
  subtract,
} from "@tributary/protocol";

import { encodeDelta } from "./encode-delta.ts";
import { addSeededNoise } from "./local-noise.ts";
import type { ClientPopulation, PopulationSettings } from "./population.ts";
import { seedFor } from "./seeded.ts";

export interface TrainingJob {
  readonly client: number;
  readonly roundNumber: number;
  readonly plan: TrainingPlan;
  /** The received model. Read only: it is every client's. */
  readonly weights: Float32Array;
  /** What the client did not send of its last update; only under an encoding with feedback. */
  readonly rest?: Float32Array;
}

/** An update as it would go over the wire. */
export interface TrainedUpdate {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly checksum: Checksum;
  /** What it does not say, for the client to keep. */
  readonly rest?: Float32Array<ArrayBuffer>;
}

/**
 * @throws FederatedError UPDATE_LAYOUT_MISMATCH, UPDATE_NOT_FINITE, MALFORMED_MESSAGE; or what the trainer threw: this
 * client cannot take part in the round then
 */
export async function trainClient(
  population: ClientPopulation,
  { seed, layout }: PopulationSettings,
  { client, roundNumber, plan: given, weights: received, rest: before }: TrainingJob,
  signal: AbortSignal,
): Promise<TrainedUpdate> {
  const plan = {
    ...given,
    seed: given.seed ?? seedFor(seed, "training", client, roundNumber),
  };
  const trainer = await population.trainer(client);
  try {
    const result = await trainer.train({ weights: received.slice(), layout, plan, signal });
    signal.throwIfAborted();
    const delta = deltaOf(result.weights, received, plan);
    const made = {
      delta,
      numExamples: checkExamples(result.numExamples),
      metrics: metricsFor(plan.evaluate, result.metrics),
    };
    const update =
      plan.localNoise === undefined
        ? made
        : {
            delta: addSeededNoise(
              delta,
              noiseOf(plan),
              seedFor(seed, "localNoise", client, roundNumber),
            ),
            // What a client says with a noisy update would be data.
            numExamples: 1,
            metrics: {},
          };
    const { encoding } = plan;
    const { payload, rest } = encodeDelta(encoding, update.delta, before, plan.seed);
    const { numExamples, metrics } = update;
    const frame = frameUpdate(layout, { format: encoding, payload, numExamples, metrics });
    return { frame, checksum: checksumOf(frame), ...(rest === undefined ? {} : { rest }) };
  } finally {
    trainer.dispose?.();
  }
}

/** trained - received, clipped as the SDK clips it; under local noise that is done on the way to the grid. */
function deltaOf(trained: Float32Array, received: Float32Array, plan: TrainingPlan): Float32Array {
  if (trained.length !== received.length) {
    throw new FederatedError(
      "UPDATE_LAYOUT_MISMATCH",
      `the trainer returned ${trained.length} weights for a model of ${received.length}`,
    );
  }
  const delta = subtract(trained, received);
  if (!Number.isFinite(l2Norm(delta))) {
    throw new FederatedError(
      "UPDATE_NOT_FINITE",
      "training ended in weights that are not finite; a lower learning rate may help",
    );
  }
  const { clippingNorm, localNoise } = plan;
  if (clippingNorm !== undefined && localNoise === undefined) clipToNorm(delta, clippingNorm);
  return delta;
}

function noiseOf({ localNoise, clippingNorm }: TrainingPlan) {
  if (localNoise === undefined || clippingNorm === undefined) {
    throw new FederatedError("CONFIG_INVALID", "local noise needs a clipping norm");
  }
  return { noiseMultiplier: localNoise.noiseMultiplier, clippingNorm };
}

/** Bytes of an update before it is made: what its upload is timed by. */
export const uploadBytesOf = ({ parameterCount }: Layout, encoding: Encoding): number =>
  FRAME_HEADER_BYTES + TYPICAL_METRICS_BYTES + maxPayloadBytes(encoding, parameterCount);

/** `{"trainLoss":0.123456789}` and a little more. */
const TYPICAL_METRICS_BYTES = 32;
