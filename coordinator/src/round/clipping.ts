/**
 * The clipping norm of a task's rounds: fixed, or one that follows a quantile of the clients' norms. It belongs to
 * the version that a round starts from and is saved with it, so a round that is opened again has the same.
 */

import type { AdaptiveClipping, AdaptiveClippingFacts, TaskSpec } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type { ModelVersionRecord } from "../ports.ts";
import { deltaNoiseMultiplier } from "../privacy/adaptive-clipping.ts";

/** What a task says of adaptive clipping; undefined where its norm is fixed. */
export function adaptiveClippingOf({ privacy }: TaskSpec): AdaptiveClipping | undefined {
  return privacy.mechanism === "central" ? privacy.adaptiveClipping : undefined;
}

/** The same with what it costs the deltas. */
export function clippingFacts(spec: TaskSpec): AdaptiveClippingFacts | undefined {
  const { privacy } = spec;
  const clipping = adaptiveClippingOf(spec);
  if (clipping === undefined || privacy.mechanism === "none") return undefined;
  const { noiseMultiplier } = privacy;
  const { bitNoiseStddev } = clipping;
  return {
    ...clipping,
    deltaNoiseMultiplier: deltaNoiseMultiplier({ noiseMultiplier, bitNoiseStddev }),
  };
}

export type ClippedVersion = Pick<ModelVersionRecord, "modelVersion" | "clippingNorm">;

/**
 * The norm that a round clips to which starts from this version; undefined where nothing is clipped.
 * @throws FederatedError CHECKPOINT_CORRUPT when the version has lost its norm: to begin anew with the first one
 * would be safe, but nobody would know of the loss
 */
export function clippingNormAfter(
  spec: TaskSpec,
  { modelVersion, clippingNorm }: ClippedVersion,
): number | undefined {
  const clipping = adaptiveClippingOf(spec);
  if (clipping === undefined || modelVersion === 0) return spec.clippingNorm;
  const { minNorm, maxNorm } = clipping;
  if (clippingNorm !== undefined && clippingNorm >= minNorm && clippingNorm <= maxNorm) {
    return clippingNorm;
  }
  throw new FederatedError(
    "CHECKPOINT_CORRUPT",
    `version ${modelVersion} of task "${spec.taskId}" has the clipping norm ${clippingNorm}, ` +
      `which must be from ${minNorm} to ${maxNorm}; restore the data from a backup`,
  );
}

/**
 * The norm that clients clip to themselves. Under adaptive clipping it is twice the largest that a round may clip
 * to: a delta that is cut there is still seen to be above any norm of a round, so that the coordinator's bits are
 * those of the true norms, and no honest client sends more than it was asked for.
 */
export function planClippingNorm(spec: TaskSpec): number | undefined {
  const clipping = adaptiveClippingOf(spec);
  return clipping === undefined ? spec.clippingNorm : 2 * clipping.maxNorm;
}

/** The same for a round's record: only where it is not the task's. */
export function roundNorm(
  spec: TaskSpec,
  version: ClippedVersion,
): { readonly clippingNorm?: number } {
  const clippingNorm = clippingNormAfter(spec, version);
  if (adaptiveClippingOf(spec) === undefined || clippingNorm === undefined) return {};
  return { clippingNorm };
}

/** How a round clips, as a promise says it. */
export interface Clipping {
  readonly clippingNorm: number;
  readonly adaptiveClipping?: AdaptiveClippingFacts;
}

/** How the round clips that starts from this version. */
export function clippingAfter(spec: TaskSpec, version: ClippedVersion): Clipping {
  const adaptiveClipping = clippingFacts(spec);
  return {
    clippingNorm: clippingNormAfter(spec, version) ?? Number.NaN,
    ...(adaptiveClipping === undefined ? {} : { adaptiveClipping }),
  };
}
