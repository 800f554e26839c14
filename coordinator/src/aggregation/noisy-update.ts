/**
 * What an update with local noise must look like for it to be counted. The noise makes honest updates large, so a
 * client may move the sum by that much, too: bounds that follow from public settings keep it from more.
 */

import type { NoiseSettings, UpdateMetrics } from "@tributary/protocol";
import { FederatedError, NOISE_REACH, noiseGridOf } from "@tributary/protocol";

import type { EncodedDelta } from "./encoded-delta.ts";
import { float32Of } from "./encoded-delta.ts";

/**
 * L2 norm that no honest noisy update passes: the norm of d normal numbers is above sqrt(d) + t standard
 * deviations with a chance below e^(-t^2 / 2) (Laurent and Massart 2000, Lemma 1), t = 9.5 here: 2.6e-20.
 */
export function mostNoisyNorm(settings: NoiseSettings, parameterCount: number): number {
  const { step, normBound, noiseStddev } = noiseGridOf(settings);
  // The noise is rounded: half a step each.
  const noise = (noiseStddev + 0.5) * (Math.sqrt(parameterCount) + NOISE_REACH);
  return step * (normBound + noise);
}

/** What a client says with its update, beside the delta. */
export interface NoisyUpdate {
  /** As float32: what has noise in it is sent as it is. */
  readonly delta: EncodedDelta;
  /** L2 norm of the delta. */
  readonly norm: number;
  readonly numExamples: number;
  readonly metrics: UpdateMetrics;
}

/**
 * Refuses what a client that adds its noise cannot have sent: figures about its data, numbers off the grid, and
 * what is too large. Nothing here shows that noise was added; that is each client's own affair.
 * @throws FederatedError MALFORMED_MESSAGE, without a number of the update
 */
export function validateNoisyUpdate(update: NoisyUpdate, settings: NoiseSettings): void {
  const { delta, norm, numExamples, metrics } = update;
  const figures = Object.keys(metrics);
  if (numExamples !== 1 || figures.length > 0) {
    throw refuse(
      `an update with local noise says 1 example and no figures, which would be data; got ${numExamples} examples ` +
        `and ${figures.length === 0 ? "no figures" : figures.join(", ")}`,
    );
  }
  const { step, normBound, noiseStddev } = noiseGridOf(settings);
  const most = step * (normBound + NOISE_REACH * noiseStddev + 1);
  for (const value of float32Of(delta)) {
    if (!Number.isInteger(value / step)) {
      throw refuse(`the update has numbers that are no multiples of ${step}: was the noise added?`);
    }
    if (Math.abs(value) > most) {
      throw refuse(`the update has numbers beyond ${most}, which local noise never reaches`);
    }
  }
  const largest = mostNoisyNorm(settings, delta.parameterCount);
  if (norm > largest) {
    throw refuse(`the update has a norm above ${largest}, which local noise never reaches`);
  }
}

const refuse = (message: string) => new FederatedError("MALFORMED_MESSAGE", message);
