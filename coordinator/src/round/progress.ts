/** The book of one open round: what has happened to it so far, as a record to store and to show. */

import type {
  ClientId,
  ErrorCode,
  Evaluation,
  EvaluationSums,
  ParticipantCounts,
  PhaseTiming,
  RoundId,
  RoundResource,
  SamplingClaim,
  TaskId,
} from "@tributary/protocol";
import { addEvaluationSums } from "@tributary/protocol";

import type {
  AbandonedRoundRecord,
  CommittedRoundRecord,
  Instant,
  OpenRoundRecord,
  ReceivedUpdate,
  RoundRecord,
} from "../ports.ts";
import { countStatus, sizeOf } from "./participants.ts";
import type { RoundState } from "./state.ts";
import { participantsOf } from "./state.ts";

/** What stays the same while a round is open. */
export interface RoundIdentity {
  readonly roundId: RoundId;
  readonly taskId: TaskId;
  readonly roundNumber: number;
  readonly baseModelVersion: number;
  readonly openedAt: Instant;
  /** Only under adaptive clipping, where it is not the task's. */
  readonly clippingNorm?: number;
}

/** A round whose cohort is drawn: what its release is charged by. */
export interface DrawnRound extends RoundIdentity {
  readonly claim: SamplingClaim;
}

/** A round whose reports are closed. */
export interface SummedRound extends DrawnRound {
  /** Clients whose updates are in the sum. */
  readonly contributors: readonly ClientId[];
}

export interface RoundBook {
  readonly identity: RoundIdentity;
  /** Notes how the cohort was drawn, to be saved with it. */
  noteDraw(claim: SamplingClaim): void;
  /** With the claim that was noted; without one, as if everybody had been drawn. */
  drawnRound(): DrawnRound;
  /** Call whenever the phase has changed. */
  enterPhase(phase: RoundState["phase"], now: Instant, tick: number): void;
  countRejection(code: ErrorCode): void;
  /** Notes what a counted update says besides its delta. @param weight as in the aggregate */
  countReport(update: Pick<ReceivedUpdate, "bytes" | "metrics">, weight: number): void;
  /** Mean training loss of the reports, weighted as the aggregate is. */
  trainLoss(): number | undefined;
  /** Sum of the clients' evaluations of the base version. */
  evaluationSums(): EvaluationSums | undefined;
  openRecord(state: RoundState): OpenRoundRecord;
  committedRecord(state: RoundState, facts: CommitFacts): CommittedRoundRecord;
  abandonedRecord(
    state: Extract<RoundState, { phase: "abandoned" }>,
    endedAt: Instant,
  ): AbandonedRoundRecord;
}

export interface CommitFacts {
  readonly modelVersion: number;
  readonly endedAt: Instant;
  readonly trainLoss?: number;
  readonly evaluation?: Evaluation & { readonly modelVersion: number };
  readonly epsilon?: number;
}

/** @param earlier the record of a round that is opened again after a restart */
export function createRoundBook(identity: RoundIdentity, earlier?: OpenRoundRecord): RoundBook {
  const phases: PhaseTiming[] = [...(earlier?.phases ?? [])];
  const rejections: Partial<Record<ErrorCode, number>> = { ...earlier?.rejections };
  // Bytes that were received before a restart count as traffic, though their sums are lost.
  let updateBytes = earlier?.updateBytes ?? 0;
  let trainLossSum = 0;
  let trainLossWeight = 0;
  let evaluationSums: EvaluationSums | undefined;
  let claim = earlier?.claim;
  let current: { phase: RoundState["phase"]; startedAt: Instant; tick: number } | undefined;

  const base = (state: RoundState) => ({
    ...identity,
    phases: [...phases],
    participants: countParticipants(state),
    rejections: { ...rejections },
    updateBytes,
  });

  return {
    identity,
    noteDraw: (drawn) => {
      claim = drawn;
    },
    drawnRound: () => ({ ...identity, claim: claim ?? { kind: "none" } }),
    enterPhase: (phase, now, tick) => {
      if (current !== undefined) {
        phases.push({
          phase: current.phase,
          startedAt: new Date(current.startedAt).toISOString(),
          durationMs: Math.round((tick - current.tick) * 1000) / 1000,
        });
      }
      current = { phase, startedAt: now, tick };
    },
    countRejection: (code) => {
      rejections[code] = (rejections[code] ?? 0) + 1;
    },
    countReport: ({ bytes, metrics }, weight) => {
      updateBytes += bytes;
      const { trainLoss, evaluation } = metrics;
      if (trainLoss !== undefined) {
        trainLossSum += trainLoss * weight;
        trainLossWeight += weight;
      }
      if (evaluation !== undefined) {
        evaluationSums =
          evaluationSums === undefined ? evaluation : addEvaluationSums(evaluationSums, evaluation);
      }
    },
    trainLoss: () => {
      const mean = trainLossSum / trainLossWeight;
      return Number.isFinite(mean) ? mean : undefined;
    },
    evaluationSums: () => evaluationSums,
    openRecord: (state) => ({
      ...base(state),
      phase:
        state.phase === "selecting" || state.phase === "reporting" ? state.phase : "aggregating",
      ...(claim === undefined ? {} : { claim }),
    }),
    committedRecord: (state, facts) => ({ ...base(state), ...facts, phase: "committed" }),
    abandonedRecord: (state, endedAt) => ({
      ...base(state),
      phase: "abandoned",
      reason: state.reason,
      endedAt,
    }),
  };
}

/** How the places in the cohort stand; once reports are closed, the silent ones have timed out. */
export function countParticipants(state: RoundState): ParticipantCounts {
  const participants = participantsOf(state);
  const count = (kind: Parameters<typeof countStatus>[1]) => countStatus(participants, kind);
  const waitedFor = count("pending");
  const open = state.phase === "selecting" || state.phase === "reporting";
  return {
    selected: sizeOf(participants),
    reported: count("reported"),
    pending: open ? waitedFor : 0,
    declined: count("declined"),
    left: count("left"),
    disconnected: count("disconnected"),
    rejected: count("rejected"),
    timedOut: open ? 0 : waitedFor,
  };
}

/** A record as the monitoring API shows it. `deadlineAt` only for a round that is open in memory. */
export function roundResource(record: RoundRecord, deadlineAt?: Instant): RoundResource {
  const iso = (instant: Instant) => new Date(instant).toISOString();
  const { openedAt, ...rest } = record;
  if (rest.phase === "committed" || rest.phase === "abandoned") {
    return { ...rest, openedAt: iso(openedAt), endedAt: iso(rest.endedAt) };
  }
  // How the cohort was drawn is the ledger's business.
  const { roundId, taskId, roundNumber, baseModelVersion, phase } = rest;
  const { phases, participants, rejections, updateBytes, clippingNorm } = rest;
  return {
    ...{ roundId, taskId, roundNumber, baseModelVersion, phase },
    ...{ phases, participants, rejections, updateBytes },
    openedAt: iso(openedAt),
    ...(clippingNorm === undefined ? {} : { clippingNorm }),
    ...(deadlineAt === undefined ? {} : { deadlineAt: iso(deadlineAt) }),
  };
}
