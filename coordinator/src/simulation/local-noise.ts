/**
 * The noise of the client SDK's local privacy, from a seed: the same grid, the same distribution, and no secret. It
 * shows what the noise does to a model; nobody's data may be in what it is added to.
 */

import type { NoiseSettings } from "@tributary/protocol";
import { clipFactor, FederatedError, l2Norm, noiseGridOf } from "@tributary/protocol";

import { drawsOf } from "./seeded.ts";

/** Tries of a factor that brings the rounded delta into the ball; the second one nearly always does. */
const TRIES = 8;

/** @returns a noisy copy, in whole steps of the noise's grid @throws FederatedError INTERNAL */
export function addSeededNoise(
  delta: Float32Array,
  settings: NoiseSettings,
  seed: number,
): Float32Array {
  const { step, normBound, noiseStddev } = noiseGridOf(settings);
  const steps = onGrid(delta, step, normBound);
  const { normal } = drawsOf(seed);
  return Float32Array.from(steps, (value) => (value + Math.round(noiseStddev * normal())) * step);
}

/** The clipped delta in whole steps, of L2 norm at most `normBound`: rounding may lengthen it. */
function onGrid(delta: Float32Array, step: number, normBound: number): Int32Array {
  let factor = clipFactor(l2Norm(delta), normBound * step) / step;
  const steps = new Int32Array(delta.length);
  for (let tries = 1; tries <= TRIES; tries++) {
    const round = tries < TRIES ? Math.round : Math.trunc;
    let squares = 0;
    for (let i = 0; i < steps.length; i++) {
      const value = round((delta[i] as number) * factor);
      steps[i] = value;
      squares += value * value;
    }
    if (squares <= normBound * normBound) return steps;
    factor *= Math.min(1 - 2 ** -40, normBound / Math.sqrt(squares));
  }
  throw new FederatedError("INTERNAL", "the clipped delta cannot be brought onto the noise grid");
}
