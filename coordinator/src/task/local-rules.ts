/** What a task with local noise must be for a client to be able to follow it. */

import type { LocalPrivacy } from "@tributary/protocol";
import { isFederatedError, noiseGridOf } from "@tributary/protocol";

import { localEpsilon, localRounds } from "../privacy/local-gaussian.ts";

/** What is wrong with the noise; undefined when nothing is. */
export function localFault(
  { noiseMultiplier, delta, maxEpsilon }: LocalPrivacy,
  clippingNorm: number,
): string | undefined {
  if (localRounds({ noiseMultiplier, delta, maxEpsilon }) < 1) {
    const epsilon = localEpsilon({ noiseMultiplier, delta, rounds: 1 });
    return `is ${noiseMultiplier}: one update would cost epsilon ${epsilon.toPrecision(4)} at delta ${delta}, above privacy.maxEpsilon of ${maxEpsilon}, so that no client could send one; tributary privacy local tells how much it takes`;
  }
  try {
    noiseGridOf({ clippingNorm, noiseMultiplier });
    return undefined;
  } catch (error) {
    if (!isFederatedError(error)) throw error;
    return `is ${noiseMultiplier}, with a clippingNorm of ${clippingNorm}: such noise does not fit float32`;
  }
}
