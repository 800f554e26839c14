/**
 * What every store does, written once over plain rows: `memory.ts` and `sqlite.ts` are two kinds of rows.
 *
 * A mutation reads what its rules need, asks the rules (`rules.ts`), then writes: all in one transaction.
 */

import type {
  AuditEntry,
  ClientId,
  Digest,
  KeyRecord,
  RoundId,
  TaskEndReason,
  TaskId,
  TaskState,
} from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";

import type {
  AuditFact,
  Instant,
  LedgerEvent,
  ModelVersionRecord,
  EndedRoundRecord,
  OpenRoundRecord,
  RoundRecord,
  Store,
  TaskRecord,
  UnsignedVersion,
  VersionSignature,
} from "../ports.ts";
import { blobsOf } from "../model/version-blobs.ts";
import type { Participation } from "../round/participation.ts";
import { withStep } from "../round/participation.ts";
import type { DailyPlaces } from "../round/quota.ts";
import { withPlace } from "../round/quota.ts";
import { headOf, nextEntry } from "./audit-chain.ts";
import {
  abandonmentFacts,
  chargeFact,
  commitFacts,
  creationFacts,
  keyFact,
  stateFact,
} from "./audit-facts.ts";
import type { EnrolmentRows } from "./enrolments.ts";
import { createEnrolmentStore } from "./enrolments.ts";
import {
  assertCanBeOpen,
  assertCanCommit,
  assertCanReserve,
  assertCanTakeStep,
  assertChargedAlone,
  assertNewTask,
  assertNextKey,
  assertNotDropped,
  assertSameRound,
  requireOpenRound,
  requireTask,
} from "./rules.ts";

export interface NumberedPage {
  readonly before?: number;
  readonly limit: number;
}

/** Rows by key. Records that go in or come out are never shared with the caller. */
export interface Rows {
  /** Runs `write` entirely or, when it throws, not at all. Durable when it returns. */
  transaction<T>(write: () => T): T;

  task(taskId: TaskId): TaskRecord | undefined;
  /** In order of creation. */
  tasks(): TaskRecord[];
  /** Adds the task or replaces it in its place. */
  putTask(task: TaskRecord): void;

  version(taskId: TaskId, modelVersion: number): ModelVersionRecord | undefined;
  latestVersion(taskId: TaskId): ModelVersionRecord | undefined;
  latestEvaluatedVersion(taskId: TaskId): ModelVersionRecord | undefined;
  /** Newest first. */
  versions(taskId: TaskId, page: NumberedPage): ModelVersionRecord[];
  putVersion(version: ModelVersionRecord): void;
  unsignedVersions(limit: number): UnsignedVersion[];

  round(roundId: RoundId): RoundRecord | undefined;
  openRound(taskId: TaskId): { round: OpenRoundRecord; cohort: ClientId[] } | undefined;
  /** Newest first. */
  rounds(taskId: TaskId, page: NumberedPage): RoundRecord[];
  /** Oldest first; only those numbered above `after`. */
  endedRounds(
    taskId: TaskId,
    page: { readonly after: number; readonly limit: number },
  ): EndedRoundRecord[];
  countRounds(taskId: TaskId): { committed: number; abandoned: number; last: number };
  /** Adds or replaces the round. `cohort` undefined keeps what there is; an ended round has none. */
  putRound(round: RoundRecord, cohort?: readonly ClientId[]): void;
  addReports(roundId: RoundId, clientIds: readonly ClientId[]): void;
  hasReport(roundId: RoundId, clientId: ClientId): boolean;

  dailyPlaces(taskId: TaskId, clientId: ClientId): DailyPlaces | undefined;
  putDailyPlaces(taskId: TaskId, clientId: ClientId, places: DailyPlaces): void;

  participation(taskId: TaskId, clientId: ClientId): Participation | undefined;
  putParticipation(taskId: TaskId, clientId: ClientId, participation: Participation): void;

  ledgerEvent(roundId: RoundId): LedgerEvent | undefined;
  /** In order of reservation. */
  ledgerEvents(taskId: TaskId): LedgerEvent[];
  putLedgerEvent(event: LedgerEvent): void;

  /** What was dropped of the task's rounds, all numbered up to `upTo`; zeros before anything was. */
  droppedRounds(taskId: TaskId): { committed: number; abandoned: number; upTo: number };
  /** Drops the oldest ended rounds numbered up to `upTo`, at most `limit`, and counts them. @returns how many */
  dropRounds(taskId: TaskId, upTo: number, limit: number): number;
  /** Drops the oldest versions numbered up to `upTo`, at most `limit`. @returns what they were */
  dropVersions(taskId: TaskId, upTo: number, limit: number): ModelVersionRecord[];
  /** Does a version of any task refer to the blob? */
  refersTo(digest: Digest): boolean;

  /** Oldest first; only those numbered above `after`. */
  auditEntries(page: { readonly after?: number; readonly limit: number }): AuditEntry[];
  lastAuditEntry(): AuditEntry | undefined;
  addAuditEntry(entry: AuditEntry): void;

  /** Oldest first. */
  signingKeys(): KeyRecord[];
  putSigningKey(key: KeyRecord): void;

  readonly enrolments: EnrolmentRows;

  secretNames(): string[];
  secret(name: string): Uint8Array | undefined;
  putSecret(name: string, value: Uint8Array): void;
  removeSecret(name: string): void;

  /** Writes something that means nothing, to see whether writing works. */
  probe(): void;
  close(): void;
}

/** Among the secrets of the database, and so sealed where those are. Replaced in the transaction of each step. */
export const noiseStateName = (taskId: TaskId): string => `noise of task ${taskId}`;

/** A store on these rows. Calls after its disposal are refused with UNAVAILABLE. */
export function createStore(rows: Rows, now: () => Instant): Store {
  let closed = false;

  const read = async <T>(run: () => T): Promise<T> => {
    if (closed) throw new FederatedError("UNAVAILABLE", "the store is closed");
    return run();
  };
  const write = <T>(run: () => T): Promise<T> => read(() => rows.transaction(run));

  /** Inside the transaction of what it tells of, so that neither is ever there without the other. */
  const audit = (...facts: readonly AuditFact[]) => {
    for (const fact of facts) {
      rows.addAuditEntry(nextEntry(headOf(rows.lastAuditEntry()), fact, now()));
    }
  };
  const setState = (task: TaskRecord, state: TaskState, endReason: TaskEndReason | undefined) => {
    const { taskId, spec, layout, createdAt } = task;
    const changed: TaskRecord = {
      taskId,
      spec,
      layout,
      state,
      ...(endReason === undefined ? {} : { endReason }),
      createdAt,
    };
    rows.putTask(changed);
    // Noise of the past takes the noise out of released models, and no step follows any more.
    if (state === "ended") rows.removeSecret(noiseStateName(taskId));
    if (state !== task.state || endReason !== task.endReason) audit(stateFact(changed));
  };

  const addEvaluation = (
    taskId: TaskId,
    modelVersion: number,
    evaluation: ModelVersionRecord["evaluation"],
  ) => {
    const version = rows.version(taskId, modelVersion);
    // Rules have it that a round's base version exists.
    if (version === undefined || evaluation === undefined) return;
    rows.putVersion({ ...version, evaluation });
  };

  const sign = (signatures: readonly VersionSignature[]) => {
    for (const { taskId, modelVersion, signed } of signatures) {
      const version = rows.version(taskId, modelVersion);
      if (version !== undefined) rows.putVersion({ ...version, signed });
    }
  };

  return {
    createTask: (task, initial) =>
      write(() => {
        assertNewTask(task, initial, rows.task(task.taskId));
        rows.putTask(task);
        rows.putVersion(initial);
        audit(...creationFacts(task, initial));
      }),
    getTask: (taskId) => read(() => rows.task(taskId)),
    listTasks: () => read(() => rows.tasks()),
    setTaskState: (taskId, state, endReason) =>
      write(() => setState(requireTask(taskId, rows.task(taskId)), state, endReason)),

    saveOpenRound: (round, cohort, quotaDay) =>
      write(() => {
        const { taskId, roundId } = round;
        requireTask(taskId, rows.task(taskId));
        assertNotDropped(round, rows.droppedRounds(taskId).upTo);
        const open = rows.openRound(taskId);
        assertCanBeOpen(round, rows.round(roundId), open?.round, rows.latestVersion(taskId));
        rows.putRound(round, cohort);
        if (quotaDay === undefined) return;
        const members = new Set(cohort);
        for (const known of open?.cohort ?? []) members.delete(known);
        for (const clientId of members) {
          const latest = rows.dailyPlaces(taskId, clientId);
          rows.putDailyPlaces(taskId, clientId, withPlace(latest, quotaDay));
        }
      }),
    dailyPlaces: (taskId, clientId) => read(() => rows.dailyPlaces(taskId, clientId)),
    getOpenRound: (taskId) => read(() => rows.openRound(taskId)),
    commitRound: (commit) =>
      write(() => {
        const { round, version, reported, releaseLedger, baseEvaluation, end } = commit;
        const { taskId, roundId } = round;
        const saved = requireOpenRound(roundId, rows.round(roundId));
        const task = requireTask(saved.taskId, rows.task(saved.taskId));
        const event = rows.ledgerEvent(roundId);
        assertCanCommit(commit, saved, task, rows.latestVersion(saved.taskId), event);
        rows.putVersion(version);
        rows.putRound(round);
        rows.addReports(roundId, reported);
        if (releaseLedger && event !== undefined) {
          rows.putLedgerEvent({ ...event, status: "released" });
        }
        addEvaluation(taskId, round.baseModelVersion, baseEvaluation);
        audit(...commitFacts(task, commit, event));
        if (end !== undefined) setState(task, "ended", end);
      }),
    abandonRound: ({ round, keepCharge = false }) =>
      write(() => {
        const saved = requireOpenRound(round.roundId, rows.round(round.roundId));
        assertSameRound(saved, round);
        rows.putRound(round);
        const event = rows.ledgerEvent(round.roundId);
        // A step of a run that was taken stays taken, whoever asks for what.
        const isKept = keepCharge || event?.charge.mechanism === "matrix";
        const status = isKept ? "released" : "void";
        const settled: LedgerEvent | undefined = event && { ...event, status };
        if (settled !== undefined) rows.putLedgerEvent(settled);
        const task = requireTask(saved.taskId, rows.task(saved.taskId));
        audit(...abandonmentFacts(task, round, settled));
      }),
    getRound: (roundId) => read(() => rows.round(roundId)),
    listRounds: (taskId, page) => read(() => rows.rounds(taskId, page)),
    listEndedRounds: (taskId, page) => read(() => rows.endedRounds(taskId, page)),
    countRounds: (taskId) => read(() => rows.countRounds(taskId)),
    wasReported: (roundId, clientId) => read(() => rows.hasReport(roundId, clientId)),

    getModelVersion: (taskId, modelVersion) => read(() => rows.version(taskId, modelVersion)),
    latestModelVersion: (taskId) => read(() => rows.latestVersion(taskId)),
    latestEvaluatedVersion: (taskId) => read(() => rows.latestEvaluatedVersion(taskId)),
    listModelVersions: (taskId, page) => read(() => rows.versions(taskId, page)),

    reserveLedger: (event) =>
      write(() => {
        const reserved = rows.ledgerEvent(event.roundId);
        assertChargedAlone(event);
        assertCanReserve(event, rows.round(event.roundId), reserved);
        if (reserved !== undefined) return;
        rows.putLedgerEvent(event);
        audit(chargeFact(event));
      }),
    takeNoiseStep: (noiseStep) =>
      write(() => {
        const { event, step, participants, state } = noiseStep;
        const { roundId, taskId } = event;
        const reserved = rows.ledgerEvent(roundId);
        assertCanReserve(event, rows.round(roundId), reserved);
        const task = requireTask(taskId, rows.task(taskId));
        const known = participants.map((clientId) => rows.participation(taskId, clientId));
        assertCanTakeStep(noiseStep, task, rows.ledgerEvents(taskId).length, known, reserved);
        rows.putLedgerEvent(event);
        for (const [i, clientId] of participants.entries()) {
          rows.putParticipation(taskId, clientId, withStep(known[i], step));
        }
        rows.removeSecret(noiseStateName(taskId));
        rows.putSecret(noiseStateName(taskId), state);
        audit(chargeFact(event));
      }),
    noiseState: (taskId) => read(() => rows.secret(noiseStateName(taskId))),
    participation: (taskId, clientId) => read(() => rows.participation(taskId, clientId)),
    listLedger: (taskId) => read(() => rows.ledgerEvents(taskId)),

    prune: (taskId, keep, limit) =>
      write(() => {
        requireTask(taskId, rows.task(taskId));
        // Numbers have no gaps, so the newest so many are those above a number.
        const beyond = (last: number, kept: number | undefined) =>
          kept === undefined ? -1 : last - Math.max(1, kept);
        const lastVersion = rows.latestVersion(taskId)?.modelVersion ?? 0;
        const upTo = beyond(rows.countRounds(taskId).last, keep.rounds);
        const rounds = rows.dropRounds(taskId, upTo, limit);
        const versions = rows.dropVersions(taskId, beyond(lastVersion, keep.modelVersions), limit);
        const digests = versions.flatMap(blobsOf);
        return {
          rounds,
          modelVersions: versions.length,
          // The same bytes may be another version's too, or another task's.
          blobs: [...new Set(digests)].filter((digest) => !rows.refersTo(digest)),
          more: rounds === limit || versions.length === limit,
        };
      }),
    isReferenced: (digest) => read(() => rows.refersTo(digest)),

    audit: {
      append: (fact) =>
        write(() => {
          audit(fact);
          return rows.lastAuditEntry() as AuditEntry;
        }),
      list: (page) => read(() => rows.auditEntries(page)),
      head: () => read(() => headOf(rows.lastAuditEntry())),
    },

    enrolments: createEnrolmentStore({ rows: rows.enrolments, read, write, audit }),

    listUnsignedVersions: (limit) => read(() => rows.unsignedVersions(limit)),
    saveSignatures: (signatures) => write(() => sign(signatures)),
    listSigningKeys: () => read(() => rows.signingKeys()),
    addSigningKey: (key, signatures, forget) =>
      write(() => {
        assertNextKey(key, rows.signingKeys().at(-1));
        rows.putSigningKey(key);
        audit(keyFact(key));
        sign(signatures);
        if (forget !== undefined) rows.removeSecret(forget);
      }),

    secret: (name, create) =>
      write(() => {
        const known = rows.secret(name);
        if (known !== undefined) return known;
        const made = create();
        rows.putSecret(name, made);
        return made;
      }),
    check: () => write(() => rows.probe()),
    [Symbol.asyncDispose]: async () => {
      if (closed) return;
      closed = true;
      rows.close();
    },
  };
}
