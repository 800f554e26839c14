/** When a task's next round may start, and when there is none left to start. Pure. */

import type {
  Evaluation,
  SamplerSpec,
  TaskEndReason,
  TaskSpec,
  TaskState,
} from "@tributary/protocol";

import type { RoundRules, Tick } from "./state.ts";

/**
 * Of the report window: a minute of the default five, in which 4 MB arrive over 1 Mbit/s with room to spare;
 * a sender that trickles holds a round up no longer.
 */
const LAST_CALL_SHARE = 0.2;

/** The numbers of the task that its rounds are held to. */
export function rulesOf(spec: TaskSpec): RoundRules {
  const { minClients, minReports, selectionDeadlineMs, reportWindowMs, aggregationDeadlineMs } =
    spec.schedule;
  return {
    minClients,
    minReports,
    ...(spec.privacy.mechanism === "central"
      ? {
          releasesAnyway: true,
          minWaiting: Math.min(minClients, waitingFor(minReports, spec.sampler)),
        }
      : {}),
    ...(spec.sampler.kind === "uniform" ? { goal: spec.sampler.cohortSize } : {}),
    lastCallMs: reportWindowMs * LAST_CALL_SHARE,
    selectionDeadlineMs,
    reportWindowMs,
    aggregationDeadlineMs,
  };
}

/**
 * So many must wait for `minReports` to be expected of them. Who waits may decide whether coins are thrown; what
 * they show may not decide whether there is a release.
 */
const waitingFor = (minReports: number, sampler: SamplerSpec): number =>
  sampler.kind === "poisson" ? Math.ceil(minReports / sampler.samplingRate) : minReports;

/** Has the task come to its end with this many committed rounds and this evaluation? */
export function endReason(
  stop: TaskSpec["stop"],
  roundsCommitted: number,
  evaluation: Evaluation | undefined,
): TaskEndReason | undefined {
  if (stop.target !== undefined && evaluation !== undefined) {
    const { metric, value } = stop.target;
    const reached =
      metric === "loss"
        ? evaluation.loss <= value
        : ((metric === "accuracy" ? evaluation.accuracy : evaluation.macro?.f1) ?? -1) >= value;
    if (reached) return "targetReached";
  }
  if (stop.maxRounds !== undefined && roundsCommitted >= stop.maxRounds) return "maxRoundsReached";
  return undefined;
}

export interface ScheduleSituation {
  readonly taskState: TaskState;
  readonly clientsWaiting: number;
  readonly now: Tick;
  /** No round starts before this instant. */
  readonly restUntil: Tick;
  /** Does the privacy budget cover one more round? */
  readonly affordable: boolean;
  /** No round can be released any more, whatever the budget says. */
  readonly over?: TaskEndReason | undefined;
}

export type Move =
  | { readonly kind: "open" }
  /** Look again at `until`, or sooner when something happens. */
  | { readonly kind: "rest"; readonly until: Tick }
  /** Nothing to do until something happens. */
  | { readonly kind: "idle" }
  | { readonly kind: "end"; readonly reason: TaskEndReason };

/** What to do when no round is open. A round opens only when somebody is there to take part in it. */
export function nextMove(situation: ScheduleSituation): Move {
  if (situation.taskState !== "running") return { kind: "idle" };
  if (situation.over !== undefined) return { kind: "end", reason: situation.over };
  if (!situation.affordable) return { kind: "end", reason: "privacyBudgetExhausted" };
  if (situation.clientsWaiting === 0) return { kind: "idle" };
  if (situation.now < situation.restUntil) return { kind: "rest", until: situation.restUntil };
  return { kind: "open" };
}
