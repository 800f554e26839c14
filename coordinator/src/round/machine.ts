/**
 * The round as a pure state machine: `transition(state, event) -> { state, effects }`.
 *
 *     selecting -> reporting -> aggregating -> committed
 *         \____________\____________\_______-> abandoned
 *
 * Events are hints, deadlines are truth: whatever is lost, a `tick` after the deadline moves the round.
 */

import type { AbandonReason, ClientId, RoundPhase } from "@tributary/protocol";

import type { StatusKind } from "./participants.ts";
import {
  awaited,
  clientsOf,
  countStatus,
  isUploading,
  sizeOf,
  statusOf,
  withStatus,
  withUpload,
} from "./participants.ts";
import type {
  EventOf,
  ParticipantStatus,
  Reporting,
  RoundEffect,
  RoundEvent,
  RoundEventType,
  RoundRules,
  RoundState,
  Selecting,
  StateOf,
  Step,
} from "./state.ts";
import { deadlineOf, participantsOf } from "./state.ts";

type Cell<P extends RoundPhase, E extends RoundEventType> =
  "ignored" | ((state: StateOf<P>, event: EventOf<E>) => Step);

/** Every phase meets every event; a missing cell does not compile. */
type Table = { readonly [P in RoundPhase]: { readonly [E in RoundEventType]: Cell<P, E> } };

const TABLE: Table = {
  selecting: {
    clientsWaiting: (state, event) =>
      event.count >= state.rules.minClients ? select(state) : stay(state),
    cohortSelected: (state, event) => beginReporting(state, event),
    reported: (state) => refuse(state, "NOT_IN_COHORT"),
    uploadBegan: "ignored",
    uploadEnded: "ignored",
    rejected: "ignored",
    declined: (state) => refuse(state, "NOT_IN_COHORT"),
    departed: "ignored",
    returned: "ignored",
    tick: (state, event) => {
      if (event.at < state.deadline) return stay(state);
      return event.clientsWaiting >= (state.rules.minWaiting ?? state.rules.minReports)
        ? select(state)
        : abandon(state, "tooFewClients");
    },
    versionMade: "ignored",
    aggregationFailed: "ignored",
    stopped: (state, event) => abandon(state, event.reason),
  },
  reporting: {
    clientsWaiting: "ignored",
    cohortSelected: "ignored",
    reported: (state, event) => report(state, event),
    uploadBegan: (state, event) => {
      const status = statusOf(state.participants, event.clientId)?.kind;
      if (status === undefined || !HOPED_FOR.includes(status)) return stay(state);
      return stay(markUpload(state, event.clientId, true));
    },
    uploadEnded: (state, event) =>
      isUploading(state.participants, event.clientId)
        ? closeWhenDone(markUpload(state, event.clientId, false), event.at)
        : stay(state),
    rejected: (state, event) =>
      mark(state, event.clientId, { kind: "rejected", code: event.code }, HOPED_FOR, event.at),
    declined: (state, event) =>
      statusOf(state.participants, event.clientId) !== undefined
        ? mark(state, event.clientId, { kind: "declined" }, HOPED_FOR, event.at)
        : refuse(state, "NOT_IN_COHORT"),
    departed: (state, event) =>
      mark(
        state,
        event.clientId,
        { kind: event.how },
        event.how === "left" ? HOPED_FOR : ["pending"],
        event.at,
      ),
    returned: (state, event) =>
      mark(state, event.clientId, { kind: "pending" }, ["disconnected"], event.at),
    tick: (state, event) =>
      event.at < (deadlineOf(state) ?? 0) ? stay(state) : closeReports(state, event.at),
    versionMade: "ignored",
    aggregationFailed: "ignored",
    stopped: (state, event) =>
      // A pause lets the work that clients have begun come to its end.
      event.reason === "paused" ? stay(state) : abandon(state, event.reason),
  },
  aggregating: {
    clientsWaiting: "ignored",
    cohortSelected: "ignored",
    reported: (state, event) => reportTooLate(state, event),
    uploadBegan: "ignored",
    uploadEnded: "ignored",
    rejected: "ignored",
    declined: (state) => refuse(state, "ROUND_CLOSED"),
    departed: "ignored",
    returned: "ignored",
    tick: (state, event) =>
      event.at < state.deadline
        ? stay(state)
        : withEffect({ type: "stopAggregation" }, abandon(state, "aggregationTimedOut")),
    versionMade: (state, event) => ({
      state: {
        phase: "committed",
        modelVersion: event.modelVersion,
        participants: state.participants,
      },
      effects: [{ type: "commit", modelVersion: event.modelVersion }],
    }),
    aggregationFailed: (state) => abandon(state, "aggregationFailed"),
    stopped: (state, event) =>
      event.reason === "paused"
        ? stay(state)
        : withEffect({ type: "stopAggregation" }, abandon(state, event.reason)),
  },
  committed: {
    clientsWaiting: "ignored",
    cohortSelected: "ignored",
    reported: (state, event) => reportTooLate(state, event),
    uploadBegan: "ignored",
    uploadEnded: "ignored",
    rejected: "ignored",
    declined: (state) => refuse(state, "ROUND_CLOSED"),
    departed: "ignored",
    returned: "ignored",
    tick: "ignored",
    versionMade: "ignored",
    aggregationFailed: "ignored",
    stopped: "ignored",
  },
  abandoned: {
    clientsWaiting: "ignored",
    cohortSelected: "ignored",
    // What was counted is lost with the round: even a participant that reported hears so.
    reported: (state) => refuse(state, "ROUND_CLOSED"),
    uploadBegan: "ignored",
    uploadEnded: "ignored",
    rejected: "ignored",
    declined: (state) => refuse(state, "ROUND_CLOSED"),
    departed: "ignored",
    returned: "ignored",
    tick: "ignored",
    // A version that comes after the deadline is dropped: nothing of it was saved or announced.
    versionMade: "ignored",
    aggregationFailed: "ignored",
    stopped: "ignored",
  },
};

/** Without a counted report, and it may still come. */
const HOPED_FOR: readonly StatusKind[] = ["pending", "disconnected", "rejected"];

/** The next state and what must be done. Never throws, never changes its arguments. */
export function transition(state: RoundState, event: RoundEvent): Step {
  // The table's type relates each cell to its row and column; TypeScript cannot follow the look-up.
  const cell = TABLE[state.phase][event.type] as
    "ignored" | ((state: RoundState, event: RoundEvent) => Step);
  return cell === "ignored" ? stay(state) : cell(state, event);
}

const stay = (state: RoundState): Step => ({ state, effects: [] });

const select = (state: Selecting): Step => ({ state, effects: [{ type: "selectCohort" }] });

const refuse = (
  state: RoundState,
  code: Extract<RoundEffect, { type: "refuse" }>["code"],
): Step => ({ state, effects: [{ type: "refuse", code }] });

const withEffect = (first: RoundEffect, step: Step): Step => ({
  state: step.state,
  effects: [first, ...step.effects],
});

function abandon(state: RoundState, reason: AbandonReason): Step {
  return {
    state: { phase: "abandoned", reason, participants: participantsOf(state) },
    effects: [{ type: "abandon", reason }],
  };
}

function beginReporting(state: Selecting, event: EventOf<"cohortSelected">): Step {
  if (event.notDrawn === true || !isEnough(event.cohort.length, state.rules)) {
    return abandon(state, "tooFewClients");
  }
  const reporting: Reporting = {
    phase: "reporting",
    rules: state.rules,
    deadline: event.at + state.rules.reportWindowMs,
    participants: awaited(event.cohort),
  };
  // There is nobody to wait for in an empty cohort.
  const step = event.cohort.length === 0 ? closeReports(reporting, event.at) : stay(reporting);
  return withEffect({ type: "assign", cohort: event.cohort }, step);
}

/** May a round with so many reports, or a cohort of so many, go on? */
const isEnough = (count: number, { minReports, releasesAnyway }: RoundRules): boolean =>
  releasesAnyway === true || count >= Math.max(1, minReports);

function report(state: Reporting, event: EventOf<"reported">): Step {
  const status = statusOf(state.participants, event.clientId);
  if (status === undefined) return refuse(state, "NOT_IN_COHORT");
  // The deadline holds even when its timer is late.
  if (event.at >= (deadlineOf(state) ?? 0) && status.kind !== "reported") {
    return withEffect({ type: "refuse", code: "ROUND_CLOSED" }, closeReports(state, event.at));
  }
  switch (status.kind) {
    case "declined":
    case "left":
      return refuse(state, "ROUND_CLOSED");
    case "reported":
      return status.checksum === event.checksum
        ? { state, effects: [{ type: "acknowledgeDuplicate" }] }
        : refuse(state, "UPDATE_CONFLICT");
    case "pending":
    case "disconnected":
    case "rejected": {
      const { clientId, checksum } = event;
      const counted = replace(markUpload(state, clientId, false), clientId, {
        kind: "reported",
        checksum,
      });
      return withEffect({ type: "accumulate" }, closeWhenDone(counted, event.at));
    }
  }
}

function reportTooLate(
  state: StateOf<"aggregating" | "committed">,
  event: EventOf<"reported">,
): Step {
  const status = statusOf(state.participants, event.clientId);
  if (status?.kind !== "reported") return refuse(state, "ROUND_CLOSED");
  return status.checksum === event.checksum
    ? { state, effects: [{ type: "acknowledgeDuplicate" }] }
    : refuse(state, "UPDATE_CONFLICT");
}

function replace(state: Reporting, clientId: ClientId, status: ParticipantStatus): Reporting {
  return { ...state, participants: withStatus(state.participants, clientId, status) };
}

/** Changes a participant's status if it is one of `from`; then asks whether anyone is left. */
function mark(
  state: Reporting,
  clientId: ClientId,
  status: ParticipantStatus,
  from: readonly StatusKind[],
  at: number,
): Step {
  const current = statusOf(state.participants, clientId);
  if (current === undefined || !from.includes(current.kind)) return stay(state);
  // Only a lost connection says nothing about the upload: that goes by another one.
  const rest =
    status.kind === "disconnected" || status.kind === "pending"
      ? state
      : markUpload(state, clientId, false);
  return closeWhenDone(replace(rest, clientId, status), at);
}

function markUpload(state: Reporting, clientId: ClientId, isUnderWay: boolean): Reporting {
  return { ...state, participants: withUpload(state.participants, clientId, isUnderWay) };
}

/**
 * Ends the phase early when the goal is reached, or when nobody is left to wait for. Work that is finished
 * and on its way is not thrown away: uploads under way may end first, for a bounded time. A round that would
 * have to be abandoned goes on until its deadline as long as a dropped-out or refused participant might
 * still bring what is missing.
 */
function closeWhenDone(state: Reporting, at: number): Step {
  const count = (kind: StatusKind) => countStatus(state.participants, kind);
  const reports = count("reported");
  const goal = Math.min(state.rules.goal ?? Infinity, sizeOf(state.participants));
  if (reports >= goal) return lastCall(state, at);
  const waitedFor = count("pending");
  const hopedFor = count("disconnected") + count("rejected");
  const nobodyLeft = waitedFor === 0 && (reports >= state.rules.minReports || hopedFor === 0);
  return nobodyLeft ? lastCall(state, at) : stay(state);
}

/**
 * Closes at once when nothing is on its way; otherwise by its end, or by a time that no event moves. Who has
 * sent nothing yet is told at once, and trains no longer for a round that has what it needs.
 */
function lastCall(state: Reporting, at: number): Step {
  if (state.participants.uploads === 0) return closeReports(state, at);
  if (state.closesAt !== undefined) {
    return at < state.closesAt ? stay(state) : closeReports(state, at);
  }
  const closesAt = Math.min(state.deadline, at + state.rules.lastCallMs);
  const clientIds = silentOf(state).filter(
    (clientId) => !isUploading(state.participants, clientId),
  );
  return { state: { ...state, closesAt }, effects: [{ type: "closeReports", clientIds }] };
}

/** Participants whose report may still come, or was refused. */
const silentOf = (state: Reporting): ClientId[] => clientsOf(state.participants, HOPED_FOR);

function closeReports(state: Reporting, at: number): Step {
  if (!isEnough(countStatus(state.participants, "reported"), state.rules)) {
    return abandon(state, "tooFewReports");
  }
  // Those who were told at the last call hear it twice, which does no harm.
  const silent = silentOf(state);
  return {
    state: {
      phase: "aggregating",
      rules: state.rules,
      deadline: at + state.rules.aggregationDeadlineMs,
      participants: state.participants,
    },
    effects: [{ type: "closeReports", clientIds: silent }, { type: "aggregate" }],
  };
}
