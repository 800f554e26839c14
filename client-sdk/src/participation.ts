/** The states of a client's part in one task, and what moves it; `participation-machine.ts` has the table. */

import type {
  Assignment,
  FederatedError,
  Receipt,
  RoundClosed,
  RoundId,
  TaskEndReason,
} from "@tributary/protocol";

/**
 * What the coordinator can know of the client's place since the connection was made: nothing
 * (`offline`), perhaps (`unconfirmed`: a check-in is on its way), or that it has the place.
 */
export type Link = "offline" | "unconfirmed" | "confirmed";

export type ParticipationEnd =
  | { readonly reason: "left" }
  /** The client was closed. */
  | { readonly reason: "closed" }
  /** The task takes no more rounds; `endReason` is absent where the client came too late to hear it. */
  | { readonly reason: "taskEnded"; readonly endReason?: TaskEndReason }
  /** This client's own ledger allows no more updates; `error` says by which limit. */
  | { readonly reason: "privacyBudgetSpent"; readonly error: FederatedError }
  /** Trying again cannot help. */
  | { readonly reason: "failed"; readonly error: FederatedError };

interface Live {
  /** Failures since the last update that was counted. */
  readonly failures: number;
}

/** No connection and nothing to do. */
export interface Idle extends Live {
  readonly kind: "idle";
}
/** An offer is on its way. */
export interface CheckingIn extends Live {
  readonly kind: "checkingIn";
}
/** The offer stands until the next assignment. */
export interface Waiting extends Live {
  readonly kind: "waiting";
  readonly taskPaused: boolean;
}
interface InRound extends Live {
  readonly assignment: Assignment;
  readonly link: Link;
}
/** The update is being made: from the question whether to accept until it is encoded. */
export interface Training extends InRound {
  readonly kind: "training";
}
/** The update is being sent. */
export interface Reporting extends InRound {
  readonly kind: "reporting";
  readonly frame: Uint8Array;
  /** The round has ended meanwhile: the answer to the PUT is all that is still awaited. */
  readonly roundOver: boolean;
  /** The coordinator opened the round anew meanwhile: what it answers to this PUT may be lost to it. */
  readonly sendAgain: boolean;
  /** Something stands against training, and the upload may end first. */
  readonly pausing: boolean;
}
/**
 * The update is counted, or its answer did not come in time; the round is not known to be over. The bytes
 * are kept, should the coordinator want them again.
 */
export interface AwaitingClose extends InRound {
  readonly kind: "awaitingClose";
  /** Absent when another process of this client made the update. */
  readonly frame: Uint8Array | undefined;
}
/** A pause after a failure. */
export interface BackingOff extends Live {
  readonly kind: "backingOff";
  readonly connected: boolean;
}
/** Taken out by the app, or by what stands against training, until it resumes. */
export interface Paused extends Live {
  readonly kind: "paused";
  readonly connected: boolean;
}
export interface Ended {
  readonly kind: "ended";
  readonly end: ParticipationEnd;
}

export type Participation =
  Idle | CheckingIn | Waiting | Training | Reporting | AwaitingClose | BackingOff | Paused | Ended;

export type ParticipationState = Participation["kind"];
export type StateOf<K extends ParticipationState> = Extract<Participation, { kind: K }>;

export type ParticipationEvent =
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  /** The answer to the newest check-in. */
  | {
      readonly type: "checkedIn";
      readonly assignment: Assignment | undefined;
      readonly taskPaused: boolean;
    }
  /** The check-in, or the connection itself, was refused. */
  | { readonly type: "checkInFailed"; readonly error: FederatedError }
  | { readonly type: "assigned"; readonly assignment: Assignment }
  /** The app does not want this assignment. */
  | { readonly type: "declined" }
  | { readonly type: "trained"; readonly frame: Uint8Array }
  | { readonly type: "reported"; readonly receipt: Receipt }
  /** Another connection of this client sends the update: its upload took the place of this one's. */
  | { readonly type: "overtaken" }
  /** Making or sending the update failed for good. */
  | { readonly type: "workFailed"; readonly error: FederatedError }
  | { readonly type: "roundClosed"; readonly message: RoundClosed }
  | { readonly type: "taskPaused"; readonly paused: boolean }
  | { readonly type: "taskEnded"; readonly endReason: TaskEndReason }
  /** The alarm of the state rings. */
  | { readonly type: "alarm" }
  | {
      readonly type: "pause";
      /**
       * What becomes of a finished update: an upload under way may end before the pause; or it stops, and goes on
       * after the pause if its round is still open then; or nothing of it may ever be sent.
       */
      readonly update: "maySend" | "waits" | "forgotten";
    }
  | { readonly type: "resume" }
  | {
      readonly type: "leave";
      readonly reason: "left" | "closed";
      /** Another tab of the same person goes on: what is kept is what that one has made. */
      readonly goesOnElsewhere?: boolean;
    };

export type ParticipationEventType = ParticipationEvent["type"];
export type EventOf<T extends ParticipationEventType> = Extract<ParticipationEvent, { type: T }>;

/** What must be done after a transition, in order. There is one alarm: setting it replaces the last one. */
export type ParticipationEffect =
  | { readonly type: "checkIn" }
  | { readonly type: "decline"; readonly roundId: RoundId }
  /** Tell the coordinator to count on this client no more. */
  | { readonly type: "leave" }
  /** Make the update, or find the one that was kept; answer with `declined`, `trained` or `workFailed`. */
  | { readonly type: "work"; readonly assignment: Assignment }
  /** Send the update; answer with `reported`, `overtaken` or `workFailed`. */
  | { readonly type: "send"; readonly assignment: Assignment; readonly frame: Uint8Array }
  /** Delete the update that is kept of this round; without one, whatever is kept of the task. */
  | { readonly type: "forget"; readonly roundId?: RoundId }
  /** Call off `work` or `send`; it must answer no more. */
  | { readonly type: "stopWork" }
  | { readonly type: "setAlarm"; readonly delayMs: number }
  /** Set the alarm after a random pause that grows with the failures. */
  | {
      readonly type: "backOff";
      readonly failures: number;
      readonly retryAfterMs: number | undefined;
    }
  | { readonly type: "tellReported"; readonly receipt: Receipt }
  | { readonly type: "tellClosed"; readonly message: RoundClosed }
  | { readonly type: "tellError"; readonly error: FederatedError };

export interface Step {
  readonly state: Participation;
  readonly effects: readonly ParticipationEffect[];
}

/** A participation that nothing has happened to. */
export const startParticipation = (paused = false): Participation =>
  paused ? { kind: "paused", failures: 0, connected: false } : { kind: "idle", failures: 0 };
