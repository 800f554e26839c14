/** Adaptive clipping in a task: the numbers that it may leave out, and those that cannot meet. */

import type { AdaptiveClipping, CentralPrivacy, TaskSpec } from "@tributary/protocol";

import { deltaNoiseMultiplier } from "../privacy/adaptive-clipping.ts";
import { gridFault } from "../privacy/grid.ts";
import type { WrittenTask } from "./spec-schema.ts";
import { LARGEST_NORM, LEAST_NORM } from "./spec-schema.ts";

/** A first norm may be wrong by a factor of a hundred, which is a guess, and leave room beyond. */
const ROOM = 1000;

/** The privacy of a task with the numbers of adaptive clipping that depend on others of its fields. */
export function withClippingDefaults(
  privacy: WrittenTask["privacy"] | undefined,
  clippingNorm: number | undefined,
  expectedReports: number,
): WrittenTask["privacy"] | undefined {
  if (privacy?.mechanism !== "central" || privacy.adaptiveClipping === undefined) return privacy;
  const { adaptiveClipping: written, noiseMultiplier } = privacy;
  const first = clippingNorm ?? Number.NaN;
  const adaptiveClipping = {
    ...written,
    // A twentieth of the expected reports, as Andrew et al. 2021 have it: it costs the deltas 0.5 % more noise
    // for z = 1 and a hundred reports. For few reports at least z, which costs them 15 % and is still paid for.
    bitNoiseStddev: written.bitNoiseStddev ?? Math.max(0.05 * expectedReports, noiseMultiplier),
    minNorm: written.minNorm ?? Math.max(LEAST_NORM, first / ROOM),
    maxNorm: written.maxNorm ?? Math.min(LARGEST_NORM, first * ROOM),
  };
  return Object.freeze({ ...privacy, adaptiveClipping: Object.freeze(adaptiveClipping) });
}

/** What cannot meet, each with both values. */
export function checkClipping(
  { noiseMultiplier }: Pick<CentralPrivacy, "noiseMultiplier">,
  { bitNoiseStddev, minNorm, maxNorm }: AdaptiveClipping,
  clippingNorm: TaskSpec["clippingNorm"],
  report: (path: string, message: string) => void,
): void {
  if (!(noiseMultiplier < 2 * bitNoiseStddev)) {
    const message = `is ${bitNoiseStddev}, not above half of privacy.noiseMultiplier of ${noiseMultiplier}: the bits alone would cost more than the round may; use 0.05 of the expected reports, or more`;
    report("privacy.adaptiveClipping.bitNoiseStddev", message);
  }
  // Without a first norm there is a fault already, and nothing to compare.
  if (clippingNorm === undefined) return;
  if (!(minNorm <= clippingNorm)) {
    const message = `is ${minNorm}, above clippingNorm of ${clippingNorm}, where the norm begins`;
    report("privacy.adaptiveClipping.minNorm", message);
  }
  if (!(maxNorm >= clippingNorm)) {
    const message = `is ${maxNorm}, below clippingNorm of ${clippingNorm}, where the norm begins`;
    report("privacy.adaptiveClipping.maxNorm", message);
  }
}

/**
 * Why some norm that a round may come to has no grid to sum on (`privacy/grid.ts`); undefined where all have one. The
 * step follows the norm of each round, so sums stay as fine and as far from 2^53 whatever it becomes; how fine, for a
 * step is a power of two, is best and worst on either side of a power.
 */
export function clippingGridFault(
  { noiseMultiplier }: Pick<CentralPrivacy, "noiseMultiplier">,
  { bitNoiseStddev, minNorm, maxNorm }: AdaptiveClipping,
  { parameterCount, summands }: { readonly parameterCount: number; readonly summands: number },
): string | undefined {
  // There is no split then, which is a fault of its own.
  if (!(noiseMultiplier < 2 * bitNoiseStddev)) return undefined;
  const z = deltaNoiseMultiplier({ noiseMultiplier, bitNoiseStddev });
  const power = 2 ** Math.ceil(Math.log2(z * minNorm)) / z;
  const between = [power, power * (1 - 2 ** -40)].filter((n) => n > minNorm && n < maxNorm);
  return [minNorm, maxNorm, ...between]
    .map((clippingNorm) =>
      gridFault({ noiseMultiplier: z, clippingNorm, parameterCount }, summands),
    )
    .find((fault) => fault !== undefined);
}
