/** The states of one round, and the events that move it. Pure data; `machine.ts` has the table. */

import type { AbandonReason, Checksum, ClientId, ErrorCode, RoundPhase } from "@tributary/protocol";

import type { Participants } from "./participants.ts";
import { awaited, NOBODY } from "./participants.ts";

/** Milliseconds of a clock that never jumps back. */
export type Tick = number;

/** How one place in the cohort stands. Only `pending` is waited for. */
export type ParticipantStatus =
  | { readonly kind: "pending" }
  /** Gone without a word; may come back and report until reports close. */
  | { readonly kind: "disconnected" }
  | { readonly kind: "reported"; readonly checksum: Checksum }
  | { readonly kind: "rejected"; readonly code: ErrorCode }
  | { readonly kind: "declined" }
  | { readonly kind: "left" };

/** The numbers that a round is held to. */
export interface RoundRules {
  /** Waiting clients that start the selection before its deadline. */
  readonly minClients: number;
  /** Reports without which the round is abandoned. */
  readonly minReports: number;
  /** Clients that must wait at the selection deadline for a cohort to be drawn; absent: `minReports`. */
  readonly minWaiting?: number;
  /**
   * A cohort that is drawn is released, however few it has or report. Under central noise anything else would tell
   * who was drawn or reported, and cohorts would be drawn again until one is large: no sample that anybody accounts.
   */
  readonly releasesAnyway?: boolean;
  /** Reports that end the reporting phase early; absent: all of the cohort. */
  readonly goal?: number;
  /** Once the goal is reached, uploads that are under way are waited for at most so long. */
  readonly lastCallMs: number;
  readonly selectionDeadlineMs: number;
  readonly reportWindowMs: number;
  readonly aggregationDeadlineMs: number;
}

export interface Selecting {
  readonly phase: "selecting";
  readonly rules: RoundRules;
  readonly deadline: Tick;
}

export interface Reporting {
  readonly phase: "reporting";
  readonly rules: RoundRules;
  readonly deadline: Tick;
  readonly participants: Participants;
  /** The goal is reached, and what is on its way may arrive until then. */
  readonly closesAt?: Tick;
}

export interface Aggregating {
  readonly phase: "aggregating";
  readonly rules: RoundRules;
  readonly deadline: Tick;
  readonly participants: Participants;
}

export interface Committed {
  readonly phase: "committed";
  readonly modelVersion: number;
  readonly participants: Participants;
}

export interface Abandoned {
  readonly phase: "abandoned";
  readonly reason: AbandonReason;
  readonly participants: Participants;
}

export type RoundState = Selecting | Reporting | Aggregating | Committed | Abandoned;
export type StateOf<P extends RoundPhase> = Extract<RoundState, { phase: P }>;

/** Every event carries the instant at which it is handled. */
export type RoundEvent =
  | { readonly type: "clientsWaiting"; readonly at: Tick; readonly count: number }
  | {
      readonly type: "cohortSelected";
      readonly at: Tick;
      readonly cohort: readonly ClientId[];
      /** No coins were thrown: these clients must not be sampled from. */
      readonly notDrawn?: boolean;
    }
  | {
      readonly type: "reported";
      readonly at: Tick;
      readonly clientId: ClientId;
      readonly checksum: Checksum;
    }
  | {
      readonly type: "rejected";
      readonly at: Tick;
      readonly clientId: ClientId;
      readonly code: ErrorCode;
    }
  /** The first byte of an upload is asked for, or the upload is over without a report. */
  | { readonly type: "uploadBegan"; readonly at: Tick; readonly clientId: ClientId }
  | { readonly type: "uploadEnded"; readonly at: Tick; readonly clientId: ClientId }
  | { readonly type: "declined"; readonly at: Tick; readonly clientId: ClientId }
  | {
      readonly type: "departed";
      readonly at: Tick;
      readonly clientId: ClientId;
      readonly how: "left" | "disconnected";
    }
  | { readonly type: "returned"; readonly at: Tick; readonly clientId: ClientId }
  /** Time has passed; the state's own deadline says whether that matters. */
  | { readonly type: "tick"; readonly at: Tick; readonly clientsWaiting: number }
  | { readonly type: "versionMade"; readonly at: Tick; readonly modelVersion: number }
  | { readonly type: "aggregationFailed"; readonly at: Tick }
  | { readonly type: "stopped"; readonly at: Tick; readonly reason: "cancelled" | "paused" };

export type RoundEventType = RoundEvent["type"];
export type EventOf<T extends RoundEventType> = Extract<RoundEvent, { type: T }>;

/** What the engine must do after a transition, in order. */
export type RoundEffect =
  /** Draw a cohort from the waiting clients and answer with `cohortSelected`. */
  | { readonly type: "selectCohort" }
  /** Save the cohort durably, then send the assignments. */
  | { readonly type: "assign"; readonly cohort: readonly ClientId[] }
  /** Add the update at hand to the aggregate. */
  | { readonly type: "accumulate" }
  /** The update at hand is counted already. */
  | { readonly type: "acknowledgeDuplicate" }
  /** Answer the message at hand with an error. */
  | {
      readonly type: "refuse";
      readonly code: "ROUND_CLOSED" | "NOT_IN_COHORT" | "UPDATE_CONFLICT";
    }
  /** Tell those who have not reported that it is too late. */
  | { readonly type: "closeReports"; readonly clientIds: readonly ClientId[] }
  /** Make the next version; answer with `versionMade` or `aggregationFailed`. */
  | { readonly type: "aggregate" }
  /** Save round and version in one transaction, then announce them. */
  | { readonly type: "commit"; readonly modelVersion: number }
  /** Stop an aggregation under way; it must not commit any more. */
  | { readonly type: "stopAggregation" }
  /** Save the end of the round and tell the cohort. */
  | { readonly type: "abandon"; readonly reason: AbandonReason };

export interface Step {
  readonly state: RoundState;
  readonly effects: readonly RoundEffect[];
}

/** A new round. */
export function openRound(rules: RoundRules, at: Tick): Selecting {
  return { phase: "selecting", rules, deadline: at + rules.selectionDeadlineMs };
}

/**
 * A round that was open when the coordinator stopped. Its sums are gone with the process, so every
 * place in the cohort is pending again, with a full report window: clients send the same bytes again.
 */
export function reopenRound(rules: RoundRules, cohort: readonly ClientId[], at: Tick): Reporting {
  return {
    phase: "reporting",
    rules,
    deadline: at + rules.reportWindowMs,
    participants: awaited(cohort),
  };
}

/**
 * A round whose noise had met its sum when the coordinator stopped: nobody is waited for, nothing is left to make.
 * It is there to end.
 */
export function aggregatingAgain(
  rules: RoundRules,
  cohort: readonly ClientId[],
  at: Tick,
): Aggregating {
  const { participants } = reopenRound(rules, cohort, at);
  return { phase: "aggregating", rules, deadline: at, participants };
}

export const participantsOf = (state: RoundState): Participants =>
  state.phase === "selecting" ? NOBODY : state.participants;

/** When the phase ends at the latest. */
export const deadlineOf = (state: RoundState): Tick | undefined => {
  if (state.phase === "committed" || state.phase === "abandoned") return undefined;
  return state.phase === "reporting" ? (state.closesAt ?? state.deadline) : state.deadline;
};
