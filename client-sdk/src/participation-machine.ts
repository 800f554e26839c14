/**
 * A client's part in one task as a pure state machine: `transition(state, event) -> { state, effects }`.
 *
 *     idle -> checkingIn -> waiting -> training -> reporting -> awaitingClose -> checkingIn …
 *     any but ended -> backingOff, paused, ended
 *
 * Messages are hints, check-ins are truth: whatever is lost, the next check-in's answer says where the
 * client stands, and every state that waits for a message checks in again after a while.
 */

import type { Assignment, ErrorCode, RoundId, TaskEndReason } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type {
  AwaitingClose,
  EventOf,
  Participation,
  ParticipationEffect,
  ParticipationEnd,
  ParticipationEventType,
  ParticipationEvent,
  ParticipationState,
  Reporting,
  StateOf,
  Step,
  Training,
} from "./participation.ts";

/** Given to the coordinator's own message after a report deadline, before the client gives up by itself. */
export const DEADLINE_GRACE_MS = 2_000;
/** A client that waits for a message asks again after so long. */
export const SWEEP_MS = 120_000;

type Cell<K extends ParticipationState, E extends ParticipationEventType> =
  "ignored" | ((state: StateOf<K>, event: EventOf<E>) => Step);

/** Every state meets every event; a missing cell does not compile. */
type Table = {
  readonly [K in ParticipationState]: {
    readonly [E in ParticipationEventType]: Cell<K, E>;
  };
};

const TABLE: Table = {
  idle: {
    connected: (state) => checkIn(state.failures),
    disconnected: "ignored",
    checkedIn: "ignored",
    // The session keeps trying to connect, and honours the coordinator's pauses, by itself.
    checkInFailed: (state, { error }) => endOr(error, [], () => stay(state, tell(error))),
    assigned: "ignored",
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) => stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event),
    alarm: "ignored",
    pause: (state, event) => pause(event, state.failures, false),
    resume: "ignored",
    leave: (_, event) => leave(event),
  },
  checkingIn: {
    connected: "ignored",
    disconnected: (state) => ({ state: { kind: "idle", failures: state.failures }, effects: [] }),
    checkedIn: (state, event) => beginWait(state.failures, event),
    checkInFailed: (state, { error }) => fail(state.failures, error, true),
    // A place that is given at once is announced before the check-in is answered.
    assigned: (state, { assignment }) => take(state.failures, assignment),
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) => stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event),
    alarm: "ignored",
    pause: (state, event) => pause(event, state.failures, true),
    resume: "ignored",
    leave: (_, event) => leave(event, [LEAVE]),
  },
  waiting: {
    connected: "ignored",
    disconnected: (state) => ({ state: { kind: "idle", failures: state.failures }, effects: [] }),
    checkedIn: (state, event) => beginWait(state.failures, event),
    checkInFailed: (state, { error }) => fail(state.failures, error, true),
    assigned: (state, { assignment }) => take(state.failures, assignment),
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) => stay(state, forget(message)),
    taskPaused: (state, { paused }) => stay({ ...state, taskPaused: paused }),
    taskEnded: (_, event) => taskEnded(event),
    alarm: (state) => stay(state, CHECK_IN, SWEEP),
    pause: (state, event) => pause(event, state.failures, true),
    resume: "ignored",
    leave: (_, event) => leave(event, [LEAVE]),
  },
  training: {
    connected: (state) => stay({ ...state, link: "unconfirmed" }, CHECK_IN),
    disconnected: (state) => stay({ ...state, link: "offline" }),
    checkedIn: (state, event) => {
      if (event.assignment !== undefined) return goOnTraining(state, event.assignment);
      // An answer that was overtaken by the assignment says nothing about it.
      return state.link === "confirmed"
        ? stay(state)
        : prepend([STOP], beginWait(state.failures, event));
    },
    checkInFailed: (state, { error }) => endOr(error, [STOP], () => stay(state, tell(error))),
    assigned: (state, { assignment }) => goOnTraining(state, assignment),
    declined: (state) => next(state, [decline(state.assignment), forget(state.assignment)]),
    trained: (state, { frame }) =>
      send({ failures: state.failures, assignment: state.assignment, link: state.link }, frame),
    reported: "ignored",
    overtaken: "ignored",
    workFailed: (state, { error }) =>
      prepend(
        [decline(state.assignment), forget(state.assignment)],
        fail(state.failures, error, state.link !== "offline"),
      ),
    roundClosed: (state, { message }) =>
      message.roundId === state.assignment.roundId
        ? next(state, [STOP, forget(message), { type: "tellClosed", message }])
        : stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event, [STOP]),
    alarm: (state) => next(state, [STOP, tell(missedDeadline(state.assignment))]),
    pause: (state, event) =>
      prepend([STOP], pause(event, state.failures, state.link !== "offline")),
    resume: "ignored",
    leave: (_, event) => leave(event, [STOP, LEAVE]),
  },
  reporting: {
    connected: (state) => stay({ ...state, link: "unconfirmed" }, CHECK_IN),
    disconnected: (state) => stay({ ...state, link: "offline" }),
    checkedIn: (state, { assignment }) => {
      if (assignment !== undefined) return goOnReporting(state, assignment);
      // The round is over; whether the update is in it, the answer to the PUT will say.
      return state.link === "confirmed"
        ? stay(state)
        : stay({ ...state, link: "confirmed", roundOver: true });
    },
    checkInFailed: (state, { error }) => endOr(error, [STOP], () => stay(state, tell(error))),
    assigned: (state, { assignment }) => goOnReporting(state, assignment),
    declined: "ignored",
    trained: "ignored",
    reported: (state, { receipt }) => {
      const { assignment, frame, link } = state;
      if (state.sendAgain) {
        const again = { ...state, roundOver: false, sendAgain: false };
        return stay(again, { type: "send", assignment, frame });
      }
      const told: ParticipationEffect = { type: "tellReported", receipt };
      if (state.roundOver || receipt.status === "committed") {
        return next({ ...state, failures: 0 }, [forget(assignment), told]);
      }
      return prepend([told], awaitClose({ failures: 0, assignment, link }, frame));
    },
    // Neither declined nor forgotten: place and bytes are the other one's, too.
    overtaken: (state) => {
      const { failures, assignment, link, frame, roundOver } = state;
      return roundOver ? next(state, []) : awaitClose({ failures, assignment, link }, frame);
    },
    workFailed: (state, { error }) =>
      prepend(
        [forget(state.assignment)],
        ROUND_IS_OVER.has(error.code)
          ? next(state, [tell(error)])
          : prepend(
              [decline(state.assignment)],
              fail(state.failures, error, state.link !== "offline"),
            ),
      ),
    roundClosed: (state, { message }) => {
      if (message.roundId !== state.assignment.roundId) return stay(state, forget(message));
      const told: ParticipationEffect[] = [forget(message), { type: "tellClosed", message }];
      // The last report closes its round: then this message may overtake the answer to the PUT.
      return message.outcome === "committed"
        ? stay({ ...state, roundOver: true }, ...told)
        : next(state, [STOP, ...told]);
    },
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event, [STOP]),
    alarm: (state) => keepBytes(state),
    pause: (state, event) =>
      event.update === "maySend"
        ? stay({ ...state, pausing: true })
        : prepend([STOP], pause(event, state.failures, state.link !== "offline")),
    resume: (state) => stay({ ...state, pausing: false }),
    leave: (_, event) => leave(event, [STOP, LEAVE]),
  },
  awaitingClose: {
    connected: (state) => stay({ ...state, link: "unconfirmed" }, CHECK_IN),
    disconnected: (state) => stay({ ...state, link: "offline" }),
    checkedIn: (state, event) =>
      event.assignment === undefined
        ? beginWait(state.failures, event)
        : goOnAwaiting(state, event.assignment),
    checkInFailed: (state, { error }) => endOr(error, [], () => stay(state, tell(error), SWEEP)),
    assigned: (state, { assignment }) => goOnAwaiting(state, assignment),
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) =>
      message.roundId === state.assignment.roundId
        ? next(state, [forget(message), { type: "tellClosed", message }])
        : stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event),
    alarm: (state) =>
      state.link === "offline" ? stay(state, SWEEP) : stay(state, CHECK_IN, SWEEP),
    pause: (state, event) => pause(event, state.failures, state.link !== "offline"),
    resume: "ignored",
    leave: (_, event) => leave(event, [LEAVE]),
  },
  backingOff: {
    connected: (state) => stay({ ...state, connected: true }),
    disconnected: (state) => stay({ ...state, connected: false }),
    checkedIn: "ignored",
    checkInFailed: (state, { error }) => endOr(error, [], () => stay(state)),
    assigned: (state, { assignment }) => stay(state, decline(assignment)),
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) => stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event),
    alarm: (state) => comeBack(state),
    pause: (state, event) => pause(event, state.failures, state.connected),
    resume: "ignored",
    leave: (_, event) => leave(event, [LEAVE]),
  },
  paused: {
    connected: (state) => stay({ ...state, connected: true }),
    disconnected: (state) => stay({ ...state, connected: false }),
    checkedIn: "ignored",
    checkInFailed: (state, { error }) => endOr(error, [], () => stay(state)),
    assigned: (state, { assignment }) => stay(state, decline(assignment)),
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: (state, { message }) => stay(state, forget(message)),
    taskPaused: "ignored",
    taskEnded: (_, event) => taskEnded(event),
    alarm: "ignored",
    pause: (state, event) => stay(state, ...unkept(event)),
    resume: (state) => comeBack(state),
    leave: (_, event) => leave(event),
  },
  ended: {
    connected: "ignored",
    disconnected: "ignored",
    checkedIn: "ignored",
    checkInFailed: "ignored",
    assigned: "ignored",
    declined: "ignored",
    trained: "ignored",
    reported: "ignored",
    overtaken: "ignored",
    workFailed: "ignored",
    roundClosed: "ignored",
    taskPaused: "ignored",
    taskEnded: "ignored",
    alarm: "ignored",
    pause: "ignored",
    resume: "ignored",
    leave: "ignored",
  },
};

/** The next state and what must be done. Never throws, never changes its arguments. */
export function transition(state: Participation, event: ParticipationEvent): Step {
  // The table's type relates each cell to its row and column; TypeScript cannot follow the look-up.
  const cell = TABLE[state.kind][event.type] as
    "ignored" | ((state: Participation, event: ParticipationEvent) => Step);
  const step = cell === "ignored" ? stay(state) : cell(state, event);
  return state.kind === "reporting" && state.pausing ? pauseAfterUpload(state, step) : step;
}

/** The upload has ended in some way: now the client pauses, and does not begin anything. */
function pauseAfterUpload({ link }: Reporting, step: Step): Step {
  const { state, effects } = step;
  if (state.kind === "reporting") return stay(state, ...effects);
  if (state.kind === "paused" || state.kind === "ended") return step;
  const connected = link !== "offline";
  const rest = effects.filter(({ type }) => !BEGINNINGS.has(type));
  return {
    state: { kind: "paused", failures: state.failures, connected },
    effects: connected ? [...rest, LEAVE] : rest,
  };
}

const CHECK_IN: ParticipationEffect = { type: "checkIn" };
const LEAVE: ParticipationEffect = { type: "leave" };
/** This client has no place: whatever is kept is of a round that is over, or must not be sent any more. */
const FORGET: ParticipationEffect = { type: "forget" };
const STOP: ParticipationEffect = { type: "stopWork" };
/** What leads on to the next piece of work. */
const BEGINNINGS: ReadonlySet<ParticipationEffect["type"]> = new Set([
  "checkIn",
  "work",
  "setAlarm",
  "backOff",
]);
const SWEEP: ParticipationEffect = { type: "setAlarm", delayMs: SWEEP_MS };

/**
 * After these the next round is the answer. UNAUTHENTICATED is said of the assignment's token, which a
 * coordinator that was set up anew does not know; of the client's own token the check-in will tell.
 */
const ROUND_IS_OVER: ReadonlySet<ErrorCode> = new Set([
  "ROUND_CLOSED",
  "ROUND_NOT_FOUND",
  "NOT_IN_COHORT",
  "UPDATE_CONFLICT",
  "UNAUTHENTICATED",
]);

/** No later try can go better with the same client, token and trainer. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set([
  "MALFORMED_MESSAGE",
  "PROTOCOL_VERSION_UNSUPPORTED",
  "UNAUTHENTICATED",
  "FORBIDDEN",
  "TASK_NOT_FOUND",
  "TASK_ENDED",
  "CONFIG_INVALID",
  "PRIVACY_BUDGET_EXHAUSTED",
  "UPDATE_LAYOUT_MISMATCH",
]);

/** What a client that comes after the end may be told in the error's details. */
const END_REASONS: readonly TaskEndReason[] = [
  "maxRoundsReached",
  "targetReached",
  "privacyBudgetExhausted",
  "noiseStateLost",
  "cancelled",
];

const stay = (state: Participation, ...effects: ParticipationEffect[]): Step => ({
  state,
  effects,
});

const prepend = (first: readonly ParticipationEffect[], step: Step): Step => ({
  state: step.state,
  effects: [...first, ...step.effects],
});

const tell = (error: FederatedError): ParticipationEffect => ({ type: "tellError", error });

const decline = ({ roundId }: Assignment): ParticipationEffect => ({ type: "decline", roundId });

/** The round is over for this client, or done: nothing of it will be asked for again. */
const forget = ({ roundId }: { readonly roundId: RoundId }): ParticipationEffect => ({
  type: "forget",
  roundId,
});

const checkIn = (failures: number): Step => ({
  state: { kind: "checkingIn", failures },
  effects: [CHECK_IN],
});

const end = (ended: ParticipationEnd, effects: readonly ParticipationEffect[] = []): Step => ({
  state: { kind: "ended", end: ended },
  effects,
});

const taskEnded = (
  { endReason }: EventOf<"taskEnded">,
  effects: readonly ParticipationEffect[] = [],
): Step => end({ reason: "taskEnded", endReason }, [...effects, FORGET]);

/** Who leaves the task wants nothing sent; a client that is closed may come back. */
const leave = (
  { reason, goesOnElsewhere = false }: EventOf<"leave">,
  effects: readonly ParticipationEffect[] = [],
): Step => end({ reason }, reason === "left" && !goesOnElsewhere ? [...effects, FORGET] : effects);

const pause = (event: EventOf<"pause">, failures: number, connected: boolean): Step => ({
  state: { kind: "paused", failures, connected },
  effects: [...unkept(event), ...(connected ? [LEAVE] : [])],
});

const unkept = (event: EventOf<"pause">): readonly ParticipationEffect[] =>
  event.update === "forgotten" ? [FORGET] : [];

/** Offers the client for the next round, at once or as soon as there is a connection. */
const comeBack = (state: StateOf<"backingOff" | "paused">): Step =>
  state.connected
    ? checkIn(state.failures)
    : { state: { kind: "idle", failures: state.failures }, effects: [] };

const next = (
  { failures, link }: Training | Reporting | AwaitingClose,
  effects: readonly ParticipationEffect[],
): Step =>
  link === "offline"
    ? { state: { kind: "idle", failures }, effects }
    : prepend(effects, checkIn(failures));

/** Ends the participation when the error is hopeless, goes on as `otherwise` says when it is not. */
function endOr(
  error: FederatedError,
  effects: readonly ParticipationEffect[],
  otherwise: () => Step,
): Step {
  if (!HOPELESS.has(error.code)) return otherwise();
  if (error.code === "TASK_ENDED") {
    const endReason = END_REASONS.find((reason) => reason === error.details?.endReason);
    const ended = {
      reason: "taskEnded",
      ...(endReason === undefined ? {} : { endReason }),
    } as const;
    return end(ended, [...effects, FORGET]);
  }
  const reason = error.code === "PRIVACY_BUDGET_EXHAUSTED" ? "privacyBudgetSpent" : "failed";
  return end({ reason, error }, [...effects, tell(error)]);
}

function fail(failuresBefore: number, error: FederatedError, connected: boolean): Step {
  return endOr(error, [], () => {
    const failures = failuresBefore + 1;
    return {
      state: { kind: "backingOff", failures, connected },
      effects: [tell(error), { type: "backOff", failures, retryAfterMs: error.retryAfterMs }],
    };
  });
}

function beginWait(failures: number, { assignment, taskPaused }: EventOf<"checkedIn">): Step {
  return assignment === undefined
    ? { state: { kind: "waiting", failures, taskPaused }, effects: [FORGET, SWEEP] }
    : take(failures, assignment);
}

/** A place in a round that this process has done nothing for. */
function take(failures: number, assignment: Assignment): Step {
  const place = { failures, assignment, link: "confirmed" } as const;
  // Another process of this client, or this one before a restart, has reported.
  if (assignment.reported) return awaitClose(place, undefined);
  return {
    state: { kind: "training", ...place },
    effects: [{ type: "work", assignment }, deadlineAlarm(assignment)],
  };
}

const send = (place: Omit<Training, "kind">, frame: Uint8Array): Step => ({
  state: { kind: "reporting", ...place, frame, roundOver: false, sendAgain: false, pausing: false },
  effects: [{ type: "send", assignment: place.assignment, frame }],
});

const awaitClose = (place: Omit<Training, "kind">, frame: Uint8Array | undefined): Step => ({
  state: { kind: "awaitingClose", ...place, frame },
  effects: [SWEEP],
});

/** How an assignment relates to the round that the client is busy with. */
const isSameRound = (own: Assignment, other: Assignment) => own.roundId === other.roundId;
/** A coordinator that had to load an open round again gives it a whole new report window. */
const isReopened = (own: Assignment, other: Assignment) =>
  Date.parse(other.deadlineAt) - Date.parse(own.deadlineAt) > 1_000;
const isStale = (own: Assignment, other: Assignment) => other.roundNumber < own.roundNumber;

function goOnTraining(state: Training, assignment: Assignment): Step {
  if (isStale(state.assignment, assignment)) return stay(state);
  if (!isSameRound(state.assignment, assignment)) {
    return prepend([STOP], take(state.failures, assignment));
  }
  const place = { failures: state.failures, assignment, link: "confirmed" } as const;
  return assignment.reported
    ? prepend([STOP], awaitClose(place, undefined))
    : stay({ kind: "training", ...place }, deadlineAlarm(assignment));
}

function goOnReporting(state: Reporting, assignment: Assignment): Step {
  if (isStale(state.assignment, assignment)) return stay(state);
  if (!isSameRound(state.assignment, assignment)) {
    return prepend([STOP], take(state.failures, assignment));
  }
  // Never call off an upload under way: the coordinator may take that for a refusal to report.
  const sendAgain =
    !assignment.reported && (state.sendAgain || isReopened(state.assignment, assignment));
  return stay(
    { ...state, assignment, link: "confirmed", roundOver: false, sendAgain },
    deadlineAlarm(assignment),
  );
}

function goOnAwaiting(state: AwaitingClose, assignment: Assignment): Step {
  if (isStale(state.assignment, assignment)) return stay(state);
  if (!isSameRound(state.assignment, assignment)) return take(state.failures, assignment);
  const { failures, frame } = state;
  const place = { failures, assignment, link: "confirmed" } as const;
  if (assignment.reported) return stay({ ...state, ...place });
  return frame === undefined
    ? take(failures, assignment)
    : prepend([deadlineAlarm(assignment)], send(place, frame));
}

/**
 * The deadline has passed without a word. The update is finished and may still be wanted: a coordinator
 * that stood still or was away moves its deadline, and training again would be work for nothing.
 */
function keepBytes({ failures, assignment, link, frame }: Reporting): Step {
  const offline = link === "offline";
  const place = { failures, assignment, link: offline ? link : "unconfirmed" } as const;
  const gaveUp = [STOP, tell(missedDeadline(assignment))];
  return prepend(offline ? gaveUp : [...gaveUp, CHECK_IN], awaitClose(place, frame));
}

const deadlineAlarm = ({ timeLeftMs }: Assignment): ParticipationEffect => ({
  type: "setAlarm",
  delayMs: timeLeftMs + DEADLINE_GRACE_MS,
});

const missedDeadline = ({ roundId, deadlineAt }: Assignment) =>
  new FederatedError(
    "ROUND_CLOSED",
    `the update for round ${roundId} was not ready and sent by its deadline ${deadlineAt}; ` +
      "train less (plan.maxExamples, epochs) or ask for a longer reportWindowMs",
  );
