/**
 * What the monitoring API answers. No client ids and no per-client data anywhere in it. Of a task under
 * differential privacy, what depends on its clients and is not paid for is there for the operator only:
 * fields that say so are absent for everybody else.
 */

import type { ErrorCode } from "./errors.ts";
import type { Evaluation } from "./evaluation.ts";
import type { AbandonReason, CheckpointRef, TaskEndReason } from "./events.ts";
import type { Digest, RoundId, TaskId } from "./ids.ts";
import type { Layout } from "./layout.ts";
import type { ParticipationLimits } from "./plan.ts";
import type { SamplingClaim } from "./sampling-claim.ts";
import type { ServingCopy, ServingEncoding } from "./serving-copy.ts";
import type { AdaptiveClipping, FactorizationSpec, NoiseKind, TaskSpec } from "./task-spec.ts";

export type TaskState = "running" | "paused" | "ended";

export interface TaskResource {
  readonly taskId: TaskId;
  readonly state: TaskState;
  readonly endReason?: TaskEndReason;
  readonly createdAt: string;
  readonly spec: TaskSpec;
  readonly layout: Layout;
  readonly checkpoint: CheckpointRef;
  /** Rounds that were committed. */
  readonly roundsCommitted: number;
  readonly roundsAbandoned: number;
  /** Clients waiting for a round now. Under privacy only for the operator. */
  readonly clientsWaiting?: number;
  readonly currentRound?: RoundResource;
  /** Evaluation of the newest version that has one. */
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  /** Instant before which no round starts: after a commit with a rest, or after an abandoned round. */
  readonly nextRoundAt?: string;
}

export type RoundPhase = "selecting" | "reporting" | "aggregating" | "committed" | "abandoned";

/** How the places in a round's cohort ended, or stand now. They add up to `selected`. */
export interface ParticipantCounts {
  readonly selected: number;
  /** Counted in the aggregate. */
  readonly reported: number;
  /** Still expected (0 once the round has ended). */
  readonly pending: number;
  readonly declined: number;
  /** Said goodbye during the round. */
  readonly left: number;
  /** Lost the connection and did not report. */
  readonly disconnected: number;
  /** Sent an update that was refused, and no good one after it. */
  readonly rejected: number;
  /** Connected, but silent until reports closed. */
  readonly timedOut: number;
}

export interface PhaseTiming {
  readonly phase: RoundPhase;
  readonly startedAt: string;
  readonly durationMs: number;
}

export interface RoundResource {
  readonly roundId: RoundId;
  readonly taskId: TaskId;
  readonly roundNumber: number;
  readonly phase: RoundPhase;
  /** Only for an abandoned round. Under privacy, reasons that lie with the clients only for the operator. */
  readonly reason?: AbandonReason;
  /** The version that participants start from. */
  readonly baseModelVersion: number;
  /** Only for a committed round. */
  readonly modelVersion?: number;
  readonly openedAt: string;
  readonly endedAt?: string;
  /** Deadline of the phase that is open now. Under privacy only for the operator, as the next four. */
  readonly deadlineAt?: string;
  readonly phases?: readonly PhaseTiming[];
  readonly participants?: ParticipantCounts;
  /** Updates refused in this round, by error code. */
  readonly rejections?: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Bytes of accepted updates. */
  readonly updateBytes?: number;
  /** The norm that this round clips to; only under adaptive clipping. */
  readonly clippingNorm?: number;
  /** Mean of the clients' training loss, weighted by examples; never under differential privacy. */
  readonly trainLoss?: number;
  /** Of the version this round made (central), or of its base version (federated). */
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  /** Epsilon spent by the task up to and with this round. */
  readonly epsilon?: number;
}

/** A value for each round; null where the round has none. */
export type HistoryColumn<T = number> = readonly (T | null)[];

/**
 * Ended rounds of a task as columns of equal length, oldest first: what charts and tables of thousands of rounds
 * need, at some 200 bytes a round. An optional column is absent where no round here has a value in it; under privacy
 * `reason` and all from `selectingMs` to `trainLoss` but the norm are the operator's, as in a round itself.
 */
export interface TaskHistory {
  readonly taskId: TaskId;
  /** Growing, with gaps where rounds were forgotten. The last one is the `after` of what follows. */
  readonly roundNumber: readonly number[];
  readonly baseModelVersion: readonly number[];
  /** The version that the round made; null for an abandoned one. */
  readonly modelVersion: HistoryColumn;
  /** Why it was abandoned. */
  readonly reason?: HistoryColumn<AbandonReason>;
  /** Milliseconds since the Unix epoch, as the next. */
  readonly openedAtMs: readonly number[];
  readonly endedAtMs: readonly number[];
  /** How long the phases took; null for one that the round did not reach, or that took no time on record. */
  readonly selectingMs?: HistoryColumn;
  readonly reportingMs?: HistoryColumn;
  readonly aggregatingMs?: HistoryColumn;
  /** Places in the cohort. */
  readonly selected?: HistoryColumn;
  /** Updates in the aggregate. */
  readonly reported?: HistoryColumn;
  /** Bytes of accepted updates. */
  readonly updateBytes?: HistoryColumn;
  readonly clippingNorm?: HistoryColumn;
  readonly trainLoss?: HistoryColumn;
  /** The version that the figures below are of: the one made (central), or the base version (federated). */
  readonly evaluatedVersion?: HistoryColumn;
  readonly loss?: HistoryColumn;
  readonly accuracy?: HistoryColumn;
  /** Unweighted means over classes, as the next two. */
  readonly macroPrecision?: HistoryColumn;
  readonly macroRecall?: HistoryColumn;
  readonly macroF1?: HistoryColumn;
  /** Epsilon spent by the task up to and with the round. */
  readonly epsilon?: HistoryColumn;
  /** There are more: goes into `after`. */
  readonly next?: number;
}

export interface ModelResource extends CheckpointRef {
  readonly taskId: TaskId;
  /** Round that made it; absent for version 0. */
  readonly roundNumber?: number;
  readonly createdAt: string;
  readonly layoutDigest: Digest;
  readonly evaluation?: Evaluation;
  /** In fewer bits, for serving; `url` is immutable. */
  readonly copies?: { readonly [E in ServingEncoding]?: ServingCopy & { readonly url: string } };
}

/** How the clipping norm follows its quantile, and what of the noise is spent on that. */
export interface AdaptiveClippingFacts extends AdaptiveClipping {
  /** Noise on the sum of deltas / clipping norm: above the z that is charged, as z pays for the bits as well. */
  readonly deltaNoiseMultiplier: number;
}

export type PrivacyResource =
  | { readonly taskId: TaskId; readonly mechanism: "none" }
  | {
      readonly taskId: TaskId;
      readonly mechanism: "central";
      readonly unit: "client";
      /** `zero-out`: the client's updates count as zero, its place stays taken. */
      readonly adjacency: "add-or-remove-one" | "zero-out";
      /** Whom it holds against: whoever sees released models, and nobody who sees more. */
      readonly against: "released-models";
      readonly noise: NoiseKind;
      /** z that each round is charged. */
      readonly noiseMultiplier: number;
      /** Under adaptive clipping that of the next round. */
      readonly clippingNorm: number;
      readonly adaptiveClipping?: AdaptiveClippingFacts;
      /** q that the accounting may use; 1 where the sampling gives no amplification. */
      readonly samplingRate: number;
      /** How the charged rounds really were drawn; before the first one, how it will be (0 rounds). */
      readonly sampling: readonly { readonly claim: SamplingClaim; readonly rounds: number }[];
      /** Which upper bound of epsilon was the smaller one: by Renyi divergences or privacy loss. */
      readonly accountant: "rdp" | "pld";
      readonly delta: number;
      readonly maxEpsilon: number;
      /** Of everything released or reserved so far. */
      readonly epsilon: number;
      /** The same releases for whoever also knows who took part in which round. */
      readonly epsilonWithoutAmplification: number;
      /** What the author of the task may have overlooked, in words. */
      readonly warnings: readonly string[];
      /** Rounds released, with reserved ones. */
      readonly rounds: number;
      /** Rounds of this kind that the budget still covers; not where the cohort has a cap, which takes long to count. */
      readonly roundsLeft?: number;
      /** The promise in words: unit, numbers, against whom, what is not protected. */
      readonly statement: string;
    }
  /** Noise that clients add themselves: each keeps its own account, and the coordinator has none. */
  | {
      readonly taskId: TaskId;
      readonly mechanism: "local";
      readonly unit: "client";
      /** Any two data sets of one client: its clipped deltas are up to 2 C apart. */
      readonly adjacency: "replace-one";
      readonly accountant: "exact-gaussian";
      /** z: standard deviation of the noise on one delta, divided by 2 C. */
      readonly noiseMultiplier: number;
      readonly clippingNorm: number;
      readonly delta: number;
      /** Of all updates of one client together. */
      readonly maxEpsilon: number;
      readonly epsilonPerUpdate: number;
      /** Updates that a client makes at most: then its own ledger refuses. */
      readonly updatesPerClient: number;
      readonly statement: string;
    }
  | MatrixPrivacyResource;

/** @see MatrixPrivacy */
export interface MatrixPrivacyResource extends ParticipationLimits {
  readonly taskId: TaskId;
  readonly mechanism: "matrix";
  readonly unit: "client";
  /** All parts of one client are there, or all are zero; which rounds there were is public. */
  readonly adjacency: "zero-out";
  /** Whom it holds against: whoever sees released models, and nobody who sees more. */
  readonly against: "released-models";
  readonly noiseMultiplier: number;
  readonly clippingNorm: number;
  readonly factorization: FactorizationSpec["kind"];
  /** The most that a client within the limits changes in the run, over the norm of one part. */
  readonly sensitivity: number;
  readonly accountant: "exact-gaussian";
  readonly delta: number;
  readonly maxEpsilon: number;
  /** Of the whole run, from its first step on; 0 before. */
  readonly epsilon: number;
  /** Steps taken, those included that released nothing. */
  readonly rounds: number;
  /** Steps of the run that are left. */
  readonly roundsLeft: number;
  /** The promise in words: unit, numbers, against whom, what is not protected. */
  readonly statement: string;
}

/**
 * One entry of the audit log. `hash` is the SHA-256 of `tributary audit 1`, `previous` and `record`, a line
 * break between each two, so nothing before the newest entry can change without changing its hash.
 */
export interface AuditEntry {
  /** 1, 2, 3 … without a gap. */
  readonly number: number;
  /** Hash of the entry before; 64 zeros for the first. */
  readonly previous: Digest;
  /** JSON as it is hashed: number, instant, kind, actor, facts. Never a client's id, never a secret. */
  readonly record: string;
  readonly hash: Digest;
}

/** The newest entry's number and hash; 0 and 64 zeros while there is none. Kept elsewhere, it proves the rest. */
export type AuditHead = Pick<AuditEntry, "number" | "hash">;

/** One page of the audit log, oldest first; `next` goes into `after` for the one after it. */
export interface AuditPage {
  readonly items: readonly AuditEntry[];
  readonly head: AuditHead;
  readonly next?: number;
}

/** One page, newest first; `next` goes into `before` for the one after it. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: number;
}

interface EventBase<Type extends string, Data> {
  /** Increases by one; resume with `Last-Event-ID`. */
  readonly id: string;
  readonly type: Type;
  readonly at: string;
  readonly taskId: TaskId;
  readonly data: Data;
}

/** Live events of the monitoring API, as SSE with `event:` = type and `data:` = this as JSON. */
export type MonitoringEvent =
  | EventBase<"task:created", { readonly state: TaskState }>
  | EventBase<"task:stateChanged", { readonly state: TaskState; readonly reason?: TaskEndReason }>
  | EventBase<"round:phaseChanged", RoundResource>
  | EventBase<"round:progress", RoundResource>
  | EventBase<"model:published", ModelResource>;

export type MonitoringEventType = MonitoringEvent["type"];

/** A copy of the coordinator's data that was made while it ran. */
export interface BackupResource {
  readonly name: string;
  /** Instant of its end: all that was stored before it began is in it. */
  readonly takenAt: string;
  readonly durationMs: number;
  readonly databaseBytes: number;
  /** Checkpoints and optimizer states. */
  readonly blobs: number;
  readonly blobBytes: number;
  /** Blobs that are missing or damaged in the store itself, and so are not in the copy. */
  readonly damaged: readonly Digest[];
}
