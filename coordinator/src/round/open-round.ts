/** A round while it is open: its state, its book and its sums; and what is saved when it is committed. */

import type { ClientId } from "@tributary/protocol";
import { isCharged, summarizeEvaluation } from "@tributary/protocol";

import type { SumMemories } from "../aggregation/kernel/sum-memories.ts";
import type { Instant, ModelVersionRecord, RoundCommit, TaskRecord } from "../ports.ts";
import { clientsOf } from "./participants.ts";
import type { RoundBook } from "./progress.ts";
import type { MadeModel } from "./release.ts";
import type { RoundSum } from "./round-sum.ts";
import { openSum } from "./round-sum.ts";
import { endReason } from "./schedule.ts";
import type { RoundState } from "./state.ts";
import { participantsOf } from "./state.ts";

export interface OpenRound {
  state: RoundState;
  readonly book: RoundBook;
  /** Opened by who first asks for it: a round that waits for clients holds no memory of it. */
  readonly aggregator: RoundSum;
  /** How uploads under way are given up once the round is over. */
  readonly uploads: Set<() => void>;
  /** Is there a sum that was opened? */
  readonly isSummed: boolean;
  aggregation: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;
  /** What `versionMade` announces and `commit` saves. */
  made: MadeModel | undefined;
}

export function beginRound(
  task: TaskRecord,
  state: RoundState,
  book: RoundBook,
  memories?: SumMemories,
): OpenRound {
  let sum: RoundSum | undefined;
  return {
    state,
    book,
    uploads: new Set(),
    get aggregator() {
      sum ??= openSum(task, book.identity, memories);
      return sum;
    },
    get isSummed() {
      return sum !== undefined;
    },
    aggregation: undefined,
    made: undefined,
  };
}

/** The round is open no more. Its sum is closed once no aggregation reads it. */
export function endRound(round: OpenRound): void {
  if (!round.isSummed) return;
  const { aggregation, made, aggregator } = round;
  if (aggregation === undefined || made !== undefined) aggregator.close();
  else void aggregation.done.finally(() => aggregator.close());
}

export interface CommitSituation {
  readonly endedAt: Instant;
  /** Rounds committed before this one. */
  readonly roundsCommitted: number;
  /** Of everything released or reserved, this round's charge included; undefined for a task without privacy. */
  readonly epsilon: number | undefined;
}

/** Everything that the store saves of a round and the version it made, in one transaction. */
export function commitOf(
  { spec }: TaskRecord,
  round: OpenRound,
  version: ModelVersionRecord,
  { endedAt, roundsCommitted, epsilon }: CommitSituation,
): RoundCommit {
  const { book, state } = round;
  const isPrivate = spec.privacy.mechanism !== "none";
  const sums = book.evaluationSums();
  const baseEvaluation = sums === undefined ? undefined : summarizeEvaluation(sums, "federated");
  const evaluation = version.evaluation ?? baseEvaluation;
  const evaluatedVersion =
    version.evaluation === undefined ? book.identity.baseModelVersion : version.modelVersion;
  const end = endReason(spec.stop, roundsCommitted + 1, evaluation);
  // A mean over clients that is not paid for is not released.
  const trainLoss = isPrivate ? undefined : book.trainLoss();
  return {
    round: book.committedRecord(state, {
      modelVersion: version.modelVersion,
      endedAt,
      ...(trainLoss === undefined ? {} : { trainLoss }),
      ...(evaluation === undefined
        ? {}
        : { evaluation: { ...evaluation, modelVersion: evaluatedVersion } }),
      ...(epsilon === undefined ? {} : { epsilon }),
    }),
    version,
    reported: reportedClients(state),
    releaseLedger: isCharged(spec),
    ...(baseEvaluation === undefined ? {} : { baseEvaluation }),
    ...(end === undefined ? {} : { end }),
  };
}

export function reportedClients(state: RoundState): ClientId[] {
  return clientsOf(participantsOf(state), ["reported"]);
}
