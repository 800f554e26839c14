/**
 * The loop of one task's rounds: one job at a time, events in, effects out. It alone changes the phase of
 * a round, in `apply`.
 *
 * It is crash-only: whatever fails while an effect is carried out (the store above all), the loop forgets
 * the open round and loads the task again from the store, as after a restart.
 */

import type {
  Assignment,
  ClientId,
  RoundResource,
  TaskBrief,
  TaskEndReason,
} from "@tributary/protocol";
import { decodeCheckpoint, FederatedError, roundIdOf } from "@tributary/protocol";

import type { SumMemories } from "../aggregation/kernel/sum-memories.ts";
import { weightOf } from "../aggregation/weighting.ts";
import { reasonToTell } from "../events/monitoring-view.ts";
import type { AssignmentTokens } from "../clients/assignment-token.ts";
import type { WaitingRoom } from "../clients/waiting-room.ts";
import { createWaitingRoom } from "../clients/waiting-room.ts";
import { checkpointRef, modelResource } from "../model/registry.ts";
import type { ModelSigner } from "../model/signer.ts";
import type {
  ClientGateway,
  EventSink,
  Instant,
  LedgerEvent,
  OpenRoundRecord,
  ReceivedUpdate,
  TaskRecord,
  Timer,
  UniformSource,
} from "../ports.ts";
import { chargesThatCount } from "../privacy/ledger.ts";
import { otherTurns } from "../thread.ts";
import { affordsNextRound, epsilonSpent } from "./budget.ts";
import { assignmentFor } from "./assignment.ts";
import { clippingNormAfter, roundNorm } from "./clipping.ts";
import { errorToLog, isPrivate } from "./discretion.ts";
import type { RunProgress } from "./eligibility.ts";
import { clientsThatMay, runOver } from "./eligibility.ts";
import { createMailbox } from "./mailbox.ts";
import type { OpenRound } from "./open-round.ts";
import { beginRound, commitOf, endRound, reportedClients } from "./open-round.ts";
import type { RoundBook } from "./progress.ts";
import { createRoundBook, roundResource } from "./progress.ts";
import type { CurrentModel, MadeModel, ReleaseDeps } from "./release.ts";
import { loadModel, makeVersion, settleBlobs } from "./release.ts";
import { clientsOf } from "./participants.ts";
import { participationLimitsOf } from "./participation.ts";
import { dayOf } from "./quota.ts";
import { Refusal } from "./refusal.ts";
import { selectCohort, waitBeyondPopulation } from "./sampler.ts";
import { nextMove, rulesOf } from "./schedule.ts";
import type { RoundEffect, RoundEvent, RoundState, Tick } from "./state.ts";
import { aggregatingAgain, deadlineOf, openRound, participantsOf, reopenRound } from "./state.ts";
import { transition } from "./machine.ts";

export interface EngineDeps extends ReleaseDeps {
  readonly gateway: ClientGateway;
  readonly events: EventSink;
  readonly tokens: AssignmentTokens;
  readonly signer: Pick<ModelSigner, "signAndSave">;
  /** The coins of cohort selection for one round: secure, or seeded where the task asks for it. */
  readonly uniformFor: (task: TaskRecord, roundNumber: number) => UniformSource;
  readonly isConnected: (clientId: ClientId) => boolean;
  /** For the sums of rounds. Absent: each has memory of its own. */
  readonly sumMemories?: SumMemories;
}

export interface EngineOptions {
  /** A participant that lost its connection is waited for so long. */
  readonly disconnectGraceMs: number;
  /** First rest after an abandoned round; doubles with each one in a row, up to 32 times it. */
  readonly abandonedRetryMs: number;
  /** Places in cohorts of the task; absent: as many as there are rounds. */
  readonly roundsPerClientPerDay?: number;
}

export interface EngineSnapshot {
  readonly task: TaskRecord;
  readonly clientsWaiting: number;
  readonly currentRound?: RoundResource;
  readonly nextRoundAt?: Instant;
}

/** What the engine's messages are made of. */
export interface RoundLoop {
  readonly waiting: WaitingRoom;
  snapshot(): EngineSnapshot;
  /** Costs nothing, whatever the cohort. */
  task(): TaskRecord;
  /**
   * What pace goes by: the task, how long it rests, and for how long its open round has been looking for clients.
   * Costs nothing, whatever the cohort.
   */
  pace(): { readonly task: TaskRecord; readonly restMs: number; readonly selectingMs: number };
  brief(): TaskBrief;
  /** The round that is open now. */
  openRound(): OpenRound | undefined;
  /** The client's place in the open round, if it has one that is still worth something. */
  placeOf(clientId: ClientId): Assignment | undefined;
  /**
   * Runs `job` alone, then looks for the next thing to do. A {@link Refusal} is an answer; whatever else
   * a job throws breaks the loop, which loads again.
   * @throws FederatedError of the refusal, or UNAVAILABLE
   */
  post<T>(job: () => Promise<T>): Promise<T>;
  /** Inside a job: moves the open round and carries out the effects. */
  apply(event: RoundEvent, update?: ReceivedUpdate): Promise<Answer | undefined>;
  /** Inside a job: somebody new waits; opens a round for them or tells the open one. */
  welcome(): Promise<void>;
  /** Of a matrix run. */
  progress(): RunProgress;
  /** Inside a job: @throws Refusal TASK_ENDED */
  requireNotEnded(): void;
  setPaused(paused: boolean): Promise<void>;
  cancel(): Promise<void>;
  /** The newest version has another signature in the store: messages carry it from now on. */
  signedAnew(): Promise<void>;
  /** Resolves when nothing is under way any more, neither a job nor an aggregation: only time moves it on then. */
  settled(): Promise<void>;
  /** Lets an aggregation under way finish for at most `graceMs`; the open round stays open on disk. */
  stop(graceMs: number): Promise<void>;
}

/** What a transition answers to the message that caused it. */
export type Answer = "counted" | "duplicate" | Extract<RoundEffect, { type: "refuse" }>["code"];

/** What is done at an instant, unless something else comes first. */
interface Alarm {
  readonly at: Tick;
  readonly run: () => Promise<unknown>;
  readonly timer: Timer;
}

const PROGRESS_INTERVAL_MS = 200;
const STEADY_PROGRESS_INTERVAL_MS = 1000;
/** About 10 ms of work, and half a megabyte of messages. */
const ASSIGNMENTS_AT_ONCE = 256;

/** Loads the task from the store, re-opens its open round, and starts. */
export async function startRoundLoop(
  deps: EngineDeps,
  initial: TaskRecord,
  options: EngineOptions,
): Promise<RoundLoop> {
  const { clock, events, gateway, logger, store } = deps;
  const mailbox = createMailbox();
  const waiting = createWaitingRoom();
  const rules = rulesOf(initial.spec);
  const { taskId, spec, layout } = initial;
  const participationLimits = participationLimitsOf(spec);

  let task = initial;
  let current: CurrentModel;
  let roundsCommitted = 0;
  let lastRoundNumber = 0;
  let affordable = true;
  let over: TaskEndReason | undefined;
  let steps = 0;
  let stepMs = 0;
  let committedAt: Tick | undefined;
  let open: OpenRound | undefined;
  let restUntil: Tick = 0;
  let abandonedInARow = 0;
  let broken = false;
  let stopped = false;
  let aggregating: Promise<void> | undefined;
  let alarm: Alarm | undefined;
  let progressDue: Timer | undefined;

  // ------------------------------------------------------------- loading and failing

  /** A task without privacy has none to read. */
  const readLedger = async (): Promise<readonly LedgerEvent[]> =>
    spec.privacy.mechanism === "none" ? [] : store.listLedger(taskId);

  async function load(): Promise<void> {
    const record = await store.getTask(taskId);
    const version = await store.latestModelVersion(taskId);
    if (record === undefined || version === undefined) {
      throw new FederatedError("TASK_NOT_FOUND", `the store has lost task "${taskId}"`);
    }
    task = record;
    // A norm that is lost stops the start, and not the next round only.
    clippingNormAfter(spec, version);
    current = await loadModel(
      deps,
      task,
      version,
      (frame) => decodeCheckpoint(layout, frame).weights,
    );
    const counts = await store.countRounds(taskId);
    roundsCommitted = counts.committed;
    lastRoundNumber = counts.last;
    const ledger = await readLedger();
    takeStock(await stockOf(ledger));
    over = await runOver(deps, task, steps);
    const left = await store.getOpenRound(taskId);
    if (left !== undefined) await reopen(left.round, left.cohort, ledger);
    broken = false;
  }

  /** What is left to spend, by the ledger. */
  const stockOf = async (ledger: readonly LedgerEvent[]) => ({
    mayGoOn: await deps.reckon(() => affordsNextRound(spec, ledger)),
    taken: chargesThatCount(ledger).length,
  });

  function takeStock({ mayGoOn, taken }: Awaited<ReturnType<typeof stockOf>>): void {
    affordable = mayGoOn;
    steps = taken;
    if (!affordable && participationLimits !== undefined) over = "maxRoundsReached";
  }

  async function reopen(
    record: OpenRoundRecord,
    cohort: readonly ClientId[],
    ledger: readonly LedgerEvent[],
  ): Promise<void> {
    const at = clock.monotonicMs();
    // The step of a run that was taken is not taken again: what became of its release was lost with the process.
    const isTaken =
      participationLimits !== undefined &&
      ledger.some(({ roundId: charged }) => charged === record.roundId);
    // A cohort that was drawn is not drawn again, also where it is empty.
    const isDrawn = record.phase !== "selecting" || cohort.length > 0;
    const state = !isDrawn
      ? openRound(rules, at)
      : isTaken
        ? aggregatingAgain(rules, cohort, at)
        : reopenRound(rules, cohort, at);
    const { roundId, roundNumber, baseModelVersion, openedAt } = record;
    const identity = {
      ...{ roundId, taskId, roundNumber, baseModelVersion, openedAt },
      ...roundNorm(spec, current.version),
    };
    open = begin(state, createRoundBook(identity, record));
    logger.info(
      { roundId, ...(isPrivate(task) ? {} : { cohort: cohort.length }) },
      "the open round is open again",
    );
    emitRound("round:phaseChanged");
    if (isTaken) {
      await apply({ type: "aggregationFailed", at });
      return;
    }
    await sendAssignments(cohort);
    if (task.state === "paused") await stopRound("paused");
    else await hintWaiting();
  }

  /** Starts the book's clock with the round's first phase. */
  function begin(state: RoundState, book: RoundBook): OpenRound {
    book.enterPhase(state.phase, clock.now(), clock.monotonicMs());
    return beginRound(task, state, book, deps.sumMemories);
  }

  function close(): void {
    if (open !== undefined) endRound(open);
    open = undefined;
  }

  /** Closed for good: whatever is still being sent for it could only hold its memory. */
  function finish(round: OpenRound): void {
    close();
    for (const giveUp of round.uploads) giveUp();
  }

  /** Runs `job` alone, then looks for the next thing to do. A failure of the store breaks the engine. */
  async function post<T>(job: () => Promise<T>): Promise<T> {
    const outcome = await mailbox.post(async () => {
      if (stopped) throw unavailable("the coordinator is stopping");
      if (broken) throw unavailable(`task "${taskId}" waits for its storage`);
      try {
        const result = await settle(job);
        await advance();
        return result;
      } catch (error) {
        fail(error);
        throw unavailable(`task "${taskId}" had a failure and is loading again`);
      }
    });
    if (outcome instanceof Refusal) throw outcome.error;
    return outcome;
  }

  /** A refusal is a result: the round may have moved all the same. */
  const settle = <T>(job: () => Promise<T>): Promise<T | Refusal> =>
    job().catch((error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    });

  function fail(error: unknown): void {
    logger.error(
      { taskId, error: errorToLog(task, error) },
      "the task's engine failed; it loads again from the store",
    );
    open?.aggregation?.abort.abort();
    close();
    broken = true;
    setAlarm(clock.monotonicMs() + options.abandonedRetryMs, loadAgain);
  }

  const loadAgain = () =>
    mailbox.post(async () => {
      if (stopped) return;
      try {
        await load();
        await advance();
      } catch (again) {
        fail(again);
      }
    });

  const unavailable = (message: string) =>
    new FederatedError("UNAVAILABLE", message, { retryAfterMs: options.abandonedRetryMs });

  // ------------------------------------------------------------------ time and schedule

  /** Most jobs move no deadline: then the alarm stays as it is. */
  function setAlarm(at: Tick, run: Alarm["run"]): void {
    if (alarm?.at === at && alarm.run === run) return;
    cancelAlarm();
    const timer = clock.after(Math.max(0, at - clock.monotonicMs()), () => {
      alarm = undefined;
      run().catch(() => undefined);
    });
    alarm = { at, run, timer };
  }

  function cancelAlarm(): void {
    alarm?.timer.cancel();
    alarm = undefined;
  }

  /** Opens, ends or waits for the next round, and sets the alarm for the next deadline. */
  async function advance(): Promise<void> {
    for (;;) {
      const now = clock.monotonicMs();
      if (open !== undefined) {
        const deadline = deadlineOf(open.state);
        if (deadline === undefined) cancelAlarm();
        else setAlarm(deadline, tick);
        return;
      }
      const move = nextMove({
        taskState: task.state,
        clientsWaiting: waiting.size,
        now,
        restUntil,
        affordable,
        over,
      });
      if (move.kind === "rest") {
        setAlarm(move.until, lookAgain);
        return;
      }
      cancelAlarm();
      if (move.kind === "idle") return;
      if (move.kind === "end") await endTask(move.reason);
      else await openNextRound();
    }
  }

  const tick = () =>
    post(() => apply({ type: "tick", at: clock.monotonicMs(), clientsWaiting: waiting.size }));
  const lookAgain = () => post(async () => undefined);

  async function openNextRound(): Promise<void> {
    lastRoundNumber += 1;
    const book = createRoundBook({
      roundId: roundIdOf(taskId, lastRoundNumber),
      taskId,
      roundNumber: lastRoundNumber,
      baseModelVersion: current.version.modelVersion,
      openedAt: clock.now(),
      ...roundNorm(spec, current.version),
    });
    const round = begin(openRound(rules, clock.monotonicMs()), book);
    await store.saveOpenRound(book.openRecord(round.state));
    open = round;
    emitRound("round:phaseChanged");
    await hintWaiting();
  }

  const stopRound = (reason: "paused" | "cancelled") =>
    apply({ type: "stopped", at: clock.monotonicMs(), reason });

  const hintWaiting = () =>
    apply({ type: "clientsWaiting", at: clock.monotonicMs(), count: waiting.size });

  // --------------------------------------------------------------------- the one funnel

  /** Moves the open round and carries out the effects, in order. Answers the message at hand. */
  async function apply(event: RoundEvent, update?: ReceivedUpdate): Promise<Answer | undefined> {
    const round = open;
    if (round === undefined) return undefined;
    const before = round.state;
    const step = transition(before, event);
    round.state = step.state;
    const changed = before.phase !== step.state.phase;
    if (changed) round.book.enterPhase(step.state.phase, clock.now(), clock.monotonicMs());
    let answer: Answer | undefined;
    for (const effect of step.effects) {
      switch (effect.type) {
        case "selectCohort":
          await selectNow(round);
          break;
        case "assign":
          await saveCohort(round, effect.cohort);
          for (const clientId of effect.cohort) waiting.remove(clientId);
          await sendAssignments(effect.cohort);
          break;
        case "accumulate":
          if (update !== undefined) {
            round.aggregator.add(update);
            round.book.countReport(update, weightOf(spec.weighting, update.numExamples));
          }
          answer = "counted";
          break;
        case "acknowledgeDuplicate":
          answer = "duplicate";
          break;
        case "refuse":
          answer = effect.code;
          break;
        case "closeReports":
          gateway.closeRound(effect.clientIds, {
            taskId,
            roundId: round.book.identity.roundId,
            outcome: "reportsClosed",
          });
          break;
        case "aggregate":
          startAggregation(round);
          break;
        case "stopAggregation":
          round.aggregation?.abort.abort();
          break;
        case "commit":
          await commit(round);
          break;
        case "abandon":
          await abandon(round);
          break;
      }
    }
    // The end of a round was told when it was saved.
    if (changed && open === round) emitRound("round:phaseChanged");
    else if (step.state !== before && open === round) emitProgress();
    return answer;
  }

  /** From here on the places are taken, whatever becomes of the round. */
  async function saveCohort(round: OpenRound, cohort: readonly ClientId[]): Promise<void> {
    const counted = options.roundsPerClientPerDay !== undefined;
    const record = round.book.openRecord(round.state);
    await store.saveOpenRound(record, cohort, counted ? dayOf(clock.now()) : undefined);
  }

  async function selectNow(round: OpenRound): Promise<void> {
    const uniform = deps.uniformFor(task, round.book.identity.roundNumber);
    const notDrawn = waitBeyondPopulation(spec.sampler, waiting.size);
    if (notDrawn) {
      const clientsWaiting = waiting.size;
      logger.warn(
        { taskId, clientsWaiting },
        "more clients wait than sampler.population, so nobody is drawn under sampler.maxCohort",
      );
    }
    const eligible = await clientsThatMay(store, task, waiting.all(), steps);
    const { cohort, claim } = selectCohort(spec.sampler, eligible, uniform);
    round.book.noteDraw(claim);
    await apply({ type: "cohortSelected", at: clock.monotonicMs(), cohort, notDrawn });
  }

  // ------------------------------------------------------------------------ assignments

  async function sendAssignments(cohort: readonly ClientId[]): Promise<void> {
    for (const [i, clientId] of cohort.entries()) {
      // Between two lots everything else has its turn.
      if (i > 0 && i % ASSIGNMENTS_AT_ONCE === 0) await otherTurns();
      const assignment = placeOf(clientId);
      if (assignment !== undefined) gateway.assign(clientId, assignment);
    }
  }

  /** The client's place in the open round, if it has one that is still worth something. */
  function placeOf(clientId: ClientId): Assignment | undefined {
    if (open === undefined) return undefined;
    const round = { identity: open.book.identity, state: open.state };
    return assignmentFor(deps, task, round, checkpointRef(current.version), clientId);
  }

  const brief = (): TaskBrief => ({
    taskId,
    layout,
    checkpoint: checkpointRef(current.version),
    paused: task.state === "paused",
  });

  // ------------------------------------------------------------------------ aggregation

  function startAggregation(round: OpenRound): void {
    const abort = new AbortController();
    const run = async () => {
      let made: MadeModel | undefined;
      try {
        const contributors = reportedClients(round.state);
        const drawn = { ...round.book.drawnRound(), contributors };
        made = await makeVersion(deps, task, current, drawn, round.aggregator, abort.signal);
      } catch (error) {
        if (!abort.signal.aborted) {
          logger.error({ taskId, error: errorToLog(task, error) }, "the aggregation failed");
        }
      }
      await post(async () => {
        // The round may have been abandoned meanwhile, or another one may be open.
        if (open !== round || abort.signal.aborted) return;
        round.made = made;
        const at = clock.monotonicMs();
        await apply(
          made === undefined
            ? { type: "aggregationFailed", at }
            : { type: "versionMade", at, modelVersion: made.version.modelVersion },
        );
      }).finally(() => {
        // Saved or dropped: from now on the store alone says whether its bytes are needed.
        if (made !== undefined) settleBlobs(deps, made.version);
      });
    };
    const done = run().catch(() => undefined);
    aggregating = done;
    round.aggregation = { abort, done };
  }

  async function commit(round: OpenRound): Promise<void> {
    const { made } = round;
    if (made === undefined) throw new Error("a round was committed without a version");
    const ledger = await readLedger();
    // What may take long is known before anybody hears of the version.
    const stock = await stockOf(ledger);
    const epsilon = await deps.reckon(() => epsilonSpent(spec, ledger));
    const commit = await deps.signer.signAndSave(made.manifest, async (signed) => {
      const situation = { endedAt: clock.now(), roundsCommitted, epsilon };
      const signedCommit = commitOf(task, round, { ...made.version, signed }, situation);
      await store.commitRound(signedCommit);
      return signedCommit;
    });
    // From here on the version exists: only now may anybody hear of it.
    const { version } = commit;
    finish(round);
    current = { version, weights: made.weights, optimizerState: made.optimizerState };
    roundsCommitted += 1;
    const now = clock.monotonicMs();
    if (committedAt !== undefined) stepMs = now - committedAt;
    committedAt = now;
    abandonedInARow = 0;
    restUntil = clock.monotonicMs() + spec.schedule.pauseBetweenRoundsMs;
    takeStock(stock);
    gateway.closeRound(clientsOf(participantsOf(round.state)), {
      taskId,
      roundId: commit.round.roundId,
      outcome: "committed",
      modelVersion: version.modelVersion,
    });
    gateway.publishModel({ taskId, checkpoint: checkpointRef(version) });
    emitRound("round:phaseChanged", roundResource(commit.round));
    events.emit({ type: "model:published", taskId, data: modelResource(version, layout.digest) });
    if (commit.end !== undefined) announceEnd(commit.end);
  }

  async function abandon(round: OpenRound): Promise<void> {
    if (round.state.phase !== "abandoned") throw new Error("only an abandoned round is abandoned");
    const { reason } = round.state;
    const record = round.book.abandonedRecord(round.state, clock.now());
    // Whether an aggregation fails or takes too long may depend on the noisy sum: that is paid for.
    const keepCharge = reason === "aggregationFailed" || reason === "aggregationTimedOut";
    await store.abandonRound({ round: record, keepCharge });
    finish(round);
    // A charge that is void now may be what the next round needs.
    takeStock(await stockOf(await readLedger()));
    over ??= await runOver(deps, task, steps);
    if (reason !== "paused") {
      restUntil =
        clock.monotonicMs() + options.abandonedRetryMs * 2 ** Math.min(5, abandonedInARow);
      abandonedInARow += 1;
    }
    const told = reasonToTell(isPrivate(task), reason);
    const { roundId } = record;
    const why = told === undefined ? {} : { reason: told };
    logger.warn({ roundId, ...why }, "the round was abandoned");
    gateway.closeRound(clientsOf(participantsOf(round.state)), {
      taskId,
      roundId,
      outcome: "abandoned",
      ...why,
    });
    emitRound("round:phaseChanged", roundResource(record));
  }

  // ----------------------------------------------------------------------- task's state

  async function endTask(reason: TaskEndReason): Promise<void> {
    await store.setTaskState(taskId, "ended", reason);
    announceEnd(reason);
  }

  function announceEnd(reason: TaskEndReason): void {
    task = { ...task, state: "ended", endReason: reason };
    for (const clientId of waiting.all()) waiting.remove(clientId);
    logger.info({ taskId, reason }, "the task has ended");
    gateway.taskEnded({ taskId, reason });
    events.emit({ type: "task:stateChanged", taskId, data: { state: "ended", reason } });
  }

  async function setPaused(paused: boolean): Promise<void> {
    const state = paused ? "paused" : "running";
    requireNotEnded();
    if (task.state === state) return;
    await store.setTaskState(taskId, state);
    task = { ...task, state };
    if (paused) await stopRound("paused");
    gateway.taskPaused({ taskId, paused });
    events.emit({ type: "task:stateChanged", taskId, data: { state } });
  }

  function requireNotEnded(): void {
    if (task.state !== "ended") return;
    const { endReason = "cancelled" } = task;
    throw new Refusal("TASK_ENDED", `task "${taskId}" has ended: ${endReason}`, { endReason });
  }

  // ------------------------------------------------------------------------- monitoring

  function snapshotRound(): RoundResource | undefined {
    if (open === undefined) return undefined;
    const deadline = deadlineOf(open.state);
    return roundResource(
      open.book.openRecord(open.state),
      deadline === undefined ? undefined : clock.now() + deadline - clock.monotonicMs(),
    );
  }

  function emitRound(type: "round:phaseChanged" | "round:progress", ended?: RoundResource): void {
    const data = ended ?? snapshotRound();
    if (data !== undefined) events.emit({ type, taskId, data });
    if (type === "round:phaseChanged") emitSteadyProgress();
  }

  /** A burst of reports becomes one event. */
  function emitProgress(): void {
    if (!isPrivate(task)) progressDue ??= clock.after(PROGRESS_INTERVAL_MS, tellProgress);
  }

  function tellProgress(): void {
    progressDue = undefined;
    emitRound("round:progress");
    emitSteadyProgress();
  }

  /**
   * Events are numbered for all readers alike, so that of a private task those which only the operator sees
   * must not come with the reports: gaps in the numbers would count them. They come with the time.
   */
  function emitSteadyProgress(): void {
    if (!isPrivate(task) || open?.state.phase !== "reporting") return;
    progressDue ??= clock.after(STEADY_PROGRESS_INTERVAL_MS, tellProgress);
  }

  await load();
  await mailbox.post(advance);

  return {
    waiting,
    brief,
    placeOf,
    post,
    apply,
    requireNotEnded,
    openRound: () => open,
    progress: () => ({ step: steps, stepMs }),
    task: () => task,
    pace: () => ({
      task,
      restMs: task.state === "running" ? Math.max(0, restUntil - clock.monotonicMs()) : 0,
      selectingMs:
        open?.state.phase === "selecting"
          ? clock.monotonicMs() - open.state.deadline + open.state.rules.selectionDeadlineMs
          : 0,
    }),
    snapshot: () => {
      const currentRound = snapshotRound();
      const restMs = restUntil - clock.monotonicMs();
      return {
        task,
        clientsWaiting: waiting.size,
        ...(currentRound === undefined ? {} : { currentRound }),
        ...(restMs > 0 && task.state === "running" ? { nextRoundAt: clock.now() + restMs } : {}),
      };
    },
    welcome: async () => {
      if (open === undefined) await advance();
      else await hintWaiting();
    },
    setPaused: (paused) => post(() => setPaused(paused)),
    signedAnew: () =>
      post(async () => {
        const version = await store.getModelVersion(taskId, current.version.modelVersion);
        if (version !== undefined) current = { ...current, version };
      }),
    cancel: () =>
      post(async () => {
        requireNotEnded();
        await stopRound("cancelled");
        await endTask("cancelled");
      }),
    settled: async () => {
      let last: Promise<void> | undefined;
      do {
        last = aggregating;
        await last;
        await mailbox.idle();
      } while (last !== aggregating);
    },
    stop: async (graceMs) => {
      const aggregation = open?.aggregation;
      if (aggregation !== undefined) {
        let patience: Timer | undefined;
        const enough = new Promise<void>((resolve) => {
          patience = clock.after(graceMs, resolve);
        });
        await Promise.race([aggregation.done, enough]);
        patience?.cancel();
      }
      stopped = true;
      open?.aggregation?.abort.abort();
      await mailbox.idle();
      cancelAlarm();
      progressDue?.cancel();
    },
  };
}
