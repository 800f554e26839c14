/** Socket events, typed for socket.io on both ends. */

import type { ErrorPayload } from "./errors.ts";
import type { ClientId, Digest, RoundId, TaskId } from "./ids.ts";
import type { Layout } from "./layout.ts";
import type { SignedManifest } from "./manifest.ts";
import type { TrainingPlan } from "./plan.ts";

/** Every client message is answered: with its value or with an error. */
export type Ack<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: ErrorPayload };

/** Carried by the socket's handshake (`auth`), never by a URL. */
export interface HandshakeAuth {
  /** The token that admits clients, where the coordinator asks for one. */
  readonly token?: string;
  /**
   * The client's own secret, 32 random bytes in base64url (43 characters). The coordinator derives
   * the pseudonymous client id from it, so nobody can speak for a client without its key.
   */
  readonly clientKey: string;
}

export const CLIENT_KEY_PATTERN = "^[A-Za-z0-9_-]{43}$";

/** Where the bytes of a model version are, and who vouches for them. */
export interface CheckpointRef {
  readonly modelVersion: number;
  /** SHA-256 of the checkpoint frame. */
  readonly digest: Digest;
  readonly bytes: number;
  /** Path on the coordinator that answers with the frame; immutable. */
  readonly url: string;
  readonly signed: SignedManifest;
}

/** An offer to take part in the next round of a task. Good for one assignment. */
export interface CheckIn {
  readonly protocolVersion: number;
  readonly taskId: TaskId;
}

/** What a client needs to know of a task before it can train or serve. */
export interface TaskBrief {
  readonly taskId: TaskId;
  readonly layout: Layout;
  readonly checkpoint: CheckpointRef;
  readonly paused: boolean;
}

export interface CheckInReply {
  readonly clientId: ClientId;
  readonly task: TaskBrief;
  /** The client's place in the open round, when it already has one: after a reconnect or restart. */
  readonly assignment?: Assignment;
}

/** A participant's part in one round. */
export interface Assignment {
  readonly taskId: TaskId;
  readonly roundId: RoundId;
  readonly roundNumber: number;
  readonly plan: TrainingPlan;
  readonly checkpoint: CheckpointRef;
  readonly update: {
    /** Path for the one idempotent PUT of the update frame. */
    readonly url: string;
    /** Bearer token bound to this client and round. */
    readonly token: string;
    readonly maxBytes: number;
  };
  /** Instant of the report deadline by the coordinator's clock (ISO 8601). */
  readonly deadlineAt: string;
  /** The same as a span, for clients whose clock is off. */
  readonly timeLeftMs: number;
  /** True when this client's update for the round is already counted. */
  readonly reported: boolean;
}

export interface Decline {
  readonly roundId: RoundId;
}

export interface Leave {
  readonly taskId: TaskId;
}

/** Ask to be told of new versions of a task's model, without taking part. */
export interface Watch {
  readonly protocolVersion: number;
  readonly taskId: TaskId;
}

/** Why a round ended without a new model. */
export type AbandonReason =
  | "tooFewClients"
  | "tooFewReports"
  | "aggregationFailed"
  | "aggregationTimedOut"
  | "cancelled"
  | "paused";

export type RoundClosed =
  | {
      readonly taskId: TaskId;
      readonly roundId: RoundId;
      readonly outcome: "committed";
      readonly modelVersion: number;
    }
  | {
      readonly taskId: TaskId;
      readonly roundId: RoundId;
      readonly outcome: "abandoned";
      /** Absent under privacy where the reason lies with the clients. */
      readonly reason?: AbandonReason;
    }
  /** Reports are no longer taken; sent to participants that have not reported. */
  | { readonly taskId: TaskId; readonly roundId: RoundId; readonly outcome: "reportsClosed" };

/** Why a task takes no more rounds. */
export type TaskEndReason =
  | "maxRoundsReached"
  | "targetReached"
  | "privacyBudgetExhausted"
  /** What the noise of a run goes on from is gone or damaged: nothing more can be released. */
  | "noiseStateLost"
  | "cancelled";

export interface ModelPublished {
  readonly taskId: TaskId;
  readonly checkpoint: CheckpointRef;
}

export interface TaskPaused {
  readonly taskId: TaskId;
  readonly paused: boolean;
}

export interface TaskEnded {
  readonly taskId: TaskId;
  readonly reason: TaskEndReason;
}

/** Client -> coordinator; each is acknowledged. */
export interface ClientEvents {
  checkin: (message: CheckIn, ack: (reply: Ack<CheckInReply>) => void) => void;
  decline: (message: Decline, ack: (reply: Ack<null>) => void) => void;
  leave: (message: Leave, ack: (reply: Ack<null>) => void) => void;
  watch: (message: Watch, ack: (reply: Ack<TaskBrief>) => void) => void;
}

/** Coordinator -> client; hints, never needed for correctness: a check-in tells the same. */
export interface CoordinatorEvents {
  "round:assigned": (message: Assignment) => void;
  "round:closed": (message: RoundClosed) => void;
  "model:published": (message: ModelPublished) => void;
  "task:paused": (message: TaskPaused) => void;
  "task:ended": (message: TaskEnded) => void;
}

/** Answer to the PUT of an update. */
export interface Receipt {
  readonly roundId: RoundId;
  /** `accepted`: counted in the open round. `committed`: part of a published model version. */
  readonly status: "accepted" | "committed";
  /** True when the same bytes had been counted before. */
  readonly duplicate: boolean;
  /** Only with `committed`. */
  readonly modelVersion?: number;
}

/** Path of the socket.io endpoint. */
export const SOCKET_PATH = "/v1/socket";
