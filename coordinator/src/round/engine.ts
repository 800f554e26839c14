/** What clients and operators ask of one task's rounds, each as one job of the task's loop. */

import type {
  Assignment,
  CheckInReply,
  ClientId,
  ErrorCode,
  Receipt,
  RoundId,
  TaskBrief,
} from "@tributary/protocol";
import { roundIdOf } from "@tributary/protocol";

import type { SlotPool } from "../aggregation/update-slots.ts";
import { noSlots } from "../aggregation/update-slots.ts";
import { overLimit } from "../limits/limit.ts";
import type { Participant, ReceivedUpdate, TaskRecord, Timer } from "../ports.ts";
import { requireMay } from "./eligibility.ts";
import { isUploading, statusOf } from "./participants.ts";
import { quotaWaitMs } from "./quota.ts";
import { Refusal, roundRefusal } from "./refusal.ts";
import type { EngineDeps, EngineOptions, EngineSnapshot, RoundLoop } from "./round-loop.ts";
import { startRoundLoop } from "./round-loop.ts";
import { participantsOf } from "./state.ts";

export interface RoundEngine {
  snapshot(): EngineSnapshot;
  task: RoundLoop["task"];
  pace: RoundLoop["pace"];
  brief(): TaskBrief;
  checkIn(clientId: ClientId): Promise<CheckInReply>;
  decline(clientId: ClientId, roundNumber: number): Promise<void>;
  leave(clientId: ClientId): Promise<void>;
  /** Waits no more. @returns the place that it was given meanwhile */
  endWait(clientId: ClientId): Promise<Assignment | undefined>;
  /** Does it have a place in the open round? */
  hasPlace(clientId: ClientId): boolean;
  disconnected(clientId: ClientId): void;
  /**
   * An upload begins; while its round is open it is waited for until `uploadEnded`.
   * @param giveUp called when the round ends before the upload
   * @returns the receipt of a round that has ended; undefined while it is open
   * @throws ROUND_CLOSED
   */
  uploadBegan(participant: Participant, giveUp?: () => void): Promise<Receipt | undefined>;
  /** Once for each `uploadBegan` that resolved, with the same `giveUp`, however the upload ended. */
  uploadEnded(participant: Participant, giveUp?: () => void): void;
  /** Where payloads for the round may be put as they come: memory of its sum, none when it is not open. */
  slotsOf(roundId: RoundId): SlotPool;
  report(participant: Participant, update: ReceivedUpdate): Promise<Receipt>;
  refuse(participant: Participant, code: ErrorCode): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  cancel(): Promise<void>;
  /** The newest version has another signature in the store. */
  signedAnew(): Promise<void>;
  /** Resolves when nothing is under way any more, neither a job nor an aggregation: only time moves it on then. */
  settled(): Promise<void>;
  /** Lets an aggregation under way finish for at most `graceMs`; the open round stays open on disk. */
  stop(graceMs: number): Promise<void>;
}

/** Loads the task from the store, re-opens its open round, and starts. */
export async function startRoundEngine(
  deps: EngineDeps,
  task: TaskRecord,
  options: EngineOptions,
): Promise<RoundEngine> {
  const { clock, store } = deps;
  const { taskId } = task;
  const loop = await startRoundLoop(deps, task, options);
  const { waiting, post, placeOf } = loop;
  const graceTimers = new Set<Timer>();
  /**
   * Uploads under way of each participant: a new connection may begin before the old one is known to be dead, and one
   * of a round before may still be under way when its client sends another.
   */
  const uploads = new Map<string, number>();
  const nameOf = ({ roundId, clientId }: Participant) => `${roundId} ${clientId}`;

  const isOpen = (roundId: RoundId) => loop.openRound()?.book.identity.roundId === roundId;
  const isAwaited = (clientId: ClientId) => {
    const state = loop.openRound()?.state;
    return state?.phase === "reporting" && isUploading(state.participants, clientId);
  };
  const hasPlace = (clientId: ClientId) => {
    const round = loop.openRound();
    return round !== undefined && statusOf(participantsOf(round.state), clientId) !== undefined;
  };
  const departed = (clientId: ClientId, how: "left" | "disconnected") =>
    loop.apply({ type: "departed", at: clock.monotonicMs(), clientId, how });

  /** Who is over its quota never gets as far as the sampler. @throws Refusal RATE_LIMITED */
  async function requireQuota(clientId: ClientId): Promise<void> {
    const { roundsPerClientPerDay: quota } = options;
    if (quota === undefined) return;
    const waitMs = quotaWaitMs(await store.dailyPlaces(taskId, clientId), clock.now(), quota);
    if (waitMs === 0) return;
    const message = `this client had its ${quota} places in rounds of task "${taskId}" today (UTC); come again tomorrow`;
    throw Refusal.of(overLimit("roundsPerClientPerDay", message, waitMs));
  }

  // ---------------------------------------------------------------------------- reports

  async function reportNow(participant: Participant, update: ReceivedUpdate): Promise<Receipt> {
    const { roundId, clientId } = participant;
    if (!isOpen(roundId)) return receiptOfEndedRound(participant);
    const answer = await loop.apply(
      { type: "reported", at: clock.monotonicMs(), clientId, checksum: update.checksum },
      update,
    );
    if (answer === "counted" || answer === "duplicate") {
      return { roundId, status: "accepted", duplicate: answer === "duplicate" };
    }
    throw roundRefusal(answer ?? "ROUND_CLOSED", roundId);
  }

  /** A retry after the commit learns that its update is in; everything else came too late. */
  async function receiptOfEndedRound({ roundId, clientId }: Participant): Promise<Receipt> {
    const round = await store.getRound(roundId);
    if (round?.phase === "committed" && (await store.wasReported(roundId, clientId))) {
      const { modelVersion } = round;
      return { roundId, status: "committed", duplicate: true, modelVersion };
    }
    throw roundRefusal("ROUND_CLOSED", roundId);
  }

  return {
    brief: loop.brief,
    snapshot: loop.snapshot,
    task: loop.task,
    pace: loop.pace,
    checkIn: (clientId) =>
      post(async () => {
        loop.requireNotEnded();
        // It may have gone while its message waited here, and nobody would ever remove it again.
        if (!deps.isConnected(clientId)) throw new Refusal("ABORTED", "the client has gone");
        await loop.apply({ type: "returned", at: clock.monotonicMs(), clientId });
        let assignment = placeOf(clientId);
        if (assignment === undefined) {
          await requireQuota(clientId);
          await requireMay(deps, task, clientId, loop.progress());
          waiting.add(clientId);
          await loop.welcome();
          assignment = placeOf(clientId);
        }
        return {
          clientId,
          task: loop.brief(),
          ...(assignment === undefined ? {} : { assignment }),
        };
      }),
    decline: (clientId, roundNumber) =>
      post(async () => {
        const roundId = roundIdOf(taskId, roundNumber);
        if (!isOpen(roundId)) throw roundRefusal("ROUND_CLOSED", roundId);
        const answer = await loop.apply({ type: "declined", at: clock.monotonicMs(), clientId });
        if (answer === "NOT_IN_COHORT" || answer === "ROUND_CLOSED") {
          throw roundRefusal(answer, roundId);
        }
      }),
    leave: (clientId) =>
      post(async () => {
        waiting.remove(clientId);
        await departed(clientId, "left");
      }),
    endWait: (clientId) =>
      // Its turn comes after a draw that is under way, so that no place is lost between the two.
      post(async () => {
        waiting.remove(clientId);
        return placeOf(clientId);
      }).catch((error: unknown) => {
        // The engine has failed and loads again, and whoever waits would wait on: that is not loaded.
        waiting.remove(clientId);
        throw error;
      }),
    hasPlace,
    disconnected: (clientId) => {
      waiting.remove(clientId);
      if (!hasPlace(clientId)) return;
      const timer = clock.after(options.disconnectGraceMs, () => {
        graceTimers.delete(timer);
        if (deps.isConnected(clientId)) return;
        post(() => departed(clientId, "disconnected")).catch(() => undefined);
      });
      graceTimers.add(timer);
    },
    uploadBegan: (participant, giveUp) =>
      post(async () => {
        const { roundId, clientId } = participant;
        if (!isOpen(roundId)) return receiptOfEndedRound(participant);
        if (giveUp !== undefined) loop.openRound()?.uploads.add(giveUp);
        const name = nameOf(participant);
        uploads.set(name, (uploads.get(name) ?? 0) + 1);
        await loop.apply({ type: "uploadBegan", at: clock.monotonicMs(), clientId });
        return undefined;
      }),
    uploadEnded: (participant, giveUp) => {
      const { roundId, clientId } = participant;
      if (giveUp !== undefined) loop.openRound()?.uploads.delete(giveUp);
      const name = nameOf(participant);
      const left = (uploads.get(name) ?? 1) - 1;
      if (left > 0) {
        uploads.set(name, left);
        return;
      }
      uploads.delete(name);
      // A counted report has ended it already.
      if (!isOpen(roundId) || !isAwaited(clientId)) return;
      post(async () => {
        if (!isOpen(roundId) || uploads.has(name)) return;
        await loop.apply({ type: "uploadEnded", at: clock.monotonicMs(), clientId });
      }).catch(() => undefined);
    },
    slotsOf: (roundId) =>
      (isOpen(roundId) ? loop.openRound()?.aggregator.slots : undefined) ?? noSlots,
    report: (participant, update) => post(() => reportNow(participant, update)),
    refuse: ({ roundId, clientId }, code) =>
      post(async () => {
        if (!isOpen(roundId)) return;
        loop.openRound()?.book.countRejection(code);
        await loop.apply({ type: "rejected", at: clock.monotonicMs(), clientId, code });
      }),
    pause: () => loop.setPaused(true),
    resume: () => loop.setPaused(false),
    cancel: () => loop.cancel(),
    signedAnew: () => loop.signedAnew(),
    settled: () => loop.settled(),
    stop: async (graceMs) => {
      await loop.stop(graceMs);
      for (const timer of graceTimers) timer.cancel();
    },
  };
}
