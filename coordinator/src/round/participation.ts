/**
 * How often a client may be in the sums of a matrix run, and how often it was. Counted in steps of the run: a round
 * takes a step when its noise is drawn, so rounds that were given up before count for nobody.
 */

import type { ParticipationLimits, TaskSpec } from "@tributary/protocol";

/** What is known of a client in a run, for good. */
export interface Participation {
  /** Its latest step, counted from 0. */
  readonly lastStep: number;
  /** Steps that it was in. */
  readonly count: number;
}

/** The limits of a task; undefined where its privacy rests on none. */
export function participationLimitsOf({ privacy }: TaskSpec): ParticipationLimits | undefined {
  if (privacy.mechanism !== "matrix") return undefined;
  const { minSeparation, maxParticipations } = privacy;
  return { minSeparation, maxParticipations };
}

/** Steps until the client may be in `step` or a later one: 0 now, Infinity never again. */
export function stepsToWait(
  known: Participation | undefined,
  step: number,
  { minSeparation, maxParticipations }: ParticipationLimits,
): number {
  if (known === undefined) return 0;
  if (!(known.count < maxParticipations)) return Infinity;
  return Math.max(0, known.lastStep + minSeparation - step);
}

export const withStep = (known: Participation | undefined, step: number): Participation => ({
  lastStep: step,
  count: (known?.count ?? 0) + 1,
});
