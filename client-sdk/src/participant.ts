/** Carries one participation: messages and results become events, effects become messages and work. */

import type {
  Assignment,
  CheckInReply,
  FederatedError,
  Layout,
  Receipt,
  RoundClosed,
  RoundId,
  TaskId,
} from "@tributary/protocol";
import { isFederatedError, toFederatedError } from "@tributary/protocol";

import type { PauseReason, TrainingConditions } from "./conditions.ts";
import type { BackoffOptions } from "./delay.ts";
import { createDeferred } from "./deferred.ts";
import { backoffDelay, LONGEST_PAUSE_MS, orAborted, throwIfAborted } from "./delay.ts";
import type { Subscribable } from "./emitter.ts";
import { createEmitter } from "./emitter.ts";
import type { FeedbackStore } from "./encoding/feedback-store.ts";
import { createUpdateEncoding } from "./encoding/update-encoding.ts";
import { checkFrameLength } from "./frame-length.ts";
import type { Http } from "./http.ts";
import { createKeptUpdate } from "./kept-update.ts";
import type { ModelDownload, ModelFetchDeps } from "./model-fetch.ts";
import { checkLayout } from "./model-fetch.ts";
import { transition } from "./participation-machine.ts";
import type {
  ParticipationEffect,
  ParticipationEnd,
  ParticipationEvent,
  ParticipationState,
} from "./participation.ts";
import { startParticipation } from "./participation.ts";
import { part } from "./part.ts";
import type { PendingUpdateStore } from "./pending-updates.ts";
import type { PrivacyGuard } from "./privacy/guard.ts";
import type { Session } from "./session.ts";
import type { Slot } from "./slot.ts";
import type { Trainer, TrainingProgress } from "./trainer.ts";

/** What an app may know of an assignment: all but the address and token of its upload. */
export type Offer = Omit<Assignment, "update" | "reported">;

export interface JoinOptions {
  readonly trainer: Trainer;
  /** Asked before each assignment; false declines it, and the client waits for the next round. */
  readonly accept?: (offer: Offer) => boolean | Promise<boolean>;
  /** While something stands against it this client is paused: it trains for nobody and takes no place. */
  readonly conditions?: TrainingConditions;
  /** Leaves when it aborts. */
  readonly signal?: AbortSignal;
}

export interface ParticipantEvents {
  state: ParticipationState;
  /** Accepted, and its turn has come: the work begins. */
  assigned: Offer;
  /** The model of the round is here, verified, and training begins: so much had to come for it. */
  received: ModelDownload;
  /** What stands against training has changed; empty: nothing does any more. */
  paused: readonly PauseReason[];
  progress: TrainingProgress & { readonly roundId: RoundId };
  /** The update is counted. */
  reported: Receipt;
  /** A round that this client was in has ended. */
  closed: RoundClosed;
  /** For the log: what can be done about it is being done. */
  error: FederatedError;
  /** The last event. */
  ended: ParticipationEnd;
}

/** This client's part in one task. */
export interface Participant extends Subscribable<ParticipantEvents> {
  readonly taskId: TaskId;
  readonly state: ParticipationState;
  /** Why it does not train now: "user" while `pause()` holds, and what its conditions say. Empty: it may. */
  readonly pausedBy: readonly PauseReason[];
  /** Resolves when the participation is over and its work has stopped; never rejected. */
  readonly done: Promise<ParticipationEnd>;
  /** Gives up the work under way and takes no more until `resume()`, and until its conditions allow it. */
  pause(): void;
  resume(): void;
  /** Gives up the work under way, takes leave and ends. */
  leave(): Promise<void>;
}

export interface ParticipantDeps extends Omit<ModelFetchDeps, "onCacheError"> {
  readonly origin: string;
  readonly clientKey: string;
  readonly pendingUpdates: PendingUpdateStore;
  readonly feedback: FeedbackStore;
  readonly session: Session;
  readonly http: Http;
  readonly slot: Slot;
  readonly privacy: PrivacyGuard;
  readonly backoff: BackoffOptions;
}

/** A participant that its client can close; `leave` there is a word to the coordinator, `close` is none. */
export interface ClosableParticipant extends Participant {
  close(): Promise<void>;
}

/** While only these stand against training, an upload under way may end: it is short, and the work is done. */
const UPLOAD_MAY_END: ReadonlySet<PauseReason> = new Set(["hidden", "battery", "otherTab"]);

const pauseFor = (reasons: readonly PauseReason[]): ParticipationEvent => ({
  type: "pause",
  update: reasons.includes("consent")
    ? "forgotten"
    : reasons.every((reason) => UPLOAD_MAY_END.has(reason))
      ? "maySend"
      : "waits",
});

export function startParticipant(
  deps: ParticipantDeps,
  taskId: TaskId,
  { trainer, accept, conditions, signal }: JoinOptions,
): ClosableParticipant {
  const { session, http, slot } = deps;
  const events = createEmitter<ParticipantEvents>((error, name) => {
    // A listener of errors that throws has nobody left to be told.
    if (name !== "error") events.emit("error", toFederatedError(error));
  });
  const tellError = (error: unknown) => events.emit("error", toFederatedError(error));
  const task = { origin: deps.origin, taskId };
  const encoding = createUpdateEncoding(deps.feedback, task, tellError);
  const workDeps = { ...deps, encoding, onCacheError: tellError };
  const kept = createKeptUpdate(deps.pendingUpdates, task, tellError);
  const training = part("trains", () => import("./run-assignment.ts"));
  // While the network is known to be there; what fails now is tried again with the first assignment.
  training.get().catch(() => undefined);
  /** What check-ins have told: of the task once for all, of this client anew with each connection. */
  const layout = createDeferred<Layout>();
  let welcome = createDeferred<CheckInReply>();
  let welcomed = false;
  const done = createDeferred<ParticipationEnd>();

  const queue: ParticipationEvent[] = [];
  let pausedByUser = false;
  const reasons = (): readonly PauseReason[] => [
    ...(pausedByUser ? (["user"] as const) : []),
    ...(conditions?.against ?? []),
  ];
  let pausedBy = reasons();
  let state = startParticipation(pausedBy.length > 0);
  let checkIns = 0;
  let alarm: ReturnType<typeof setTimeout> | undefined;
  let work: AbortController | undefined;
  /** Work that was called off and has not stopped yet is in here too. */
  const running = new Set<Promise<void>>();

  /** A listener may cause the next event: it waits until the effects of this one are carried out. */
  function dispatch(event: ParticipationEvent): void {
    queue.push(event);
    if (queue.length > 1) return;
    for (let due = queue[0]; due !== undefined; due = queue[0]) {
      apply(due);
      queue.shift();
    }
  }

  function apply(event: ParticipationEvent): void {
    const before = state;
    const step = transition(before, event);
    state = step.state;
    for (const effect of step.effects) carryOut(effect);
    if (state.kind !== before.kind) events.emit("state", state.kind);
    if (state.kind === "ended" && before.kind !== "ended") finish(state.end);
  }

  function carryOut(effect: ParticipationEffect): void {
    switch (effect.type) {
      case "checkIn":
        void checkIn();
        break;
      case "decline":
        // The round may be over, or the connection gone: then there is nothing to decline.
        session.decline(effect.roundId).catch(() => undefined);
        break;
      case "leave":
        track(session.leave(taskId).catch(() => undefined));
        break;
      case "work":
        begin((within) => make(effect.assignment, within));
        break;
      case "send":
        begin(async (within) => {
          const { update, plan } = effect.assignment;
          checkFrameLength(effect.frame, update);
          let refusal: unknown;
          const beforeRetry = () =>
            kept.checkAllowed().catch((error: unknown) => {
              refusal = error;
              throw error;
            });
          try {
            const receipt = await http.putUpdate(update, effect.frame, {
              signal: within,
              beforeRetry,
              compression: plan.compression,
            });
            return { type: "reported", receipt };
          } catch (error) {
            const isOvertaken = isFederatedError(error) && error.code === "ABORTED";
            if (isOvertaken && error !== refusal) return { type: "overtaken" };
            throw error;
          }
        });
        break;
      case "forget":
        track(kept.forget(effect.roundId));
        break;
      case "stopWork":
        work?.abort();
        work = undefined;
        break;
      case "setAlarm":
        setAlarm(effect.delayMs);
        break;
      case "backOff":
        setAlarm(backoffDelay(effect.failures, deps.backoff, effect.retryAfterMs));
        break;
      case "tellReported":
        track(encoding.reported(effect.receipt));
        events.emit("reported", effect.receipt);
        break;
      case "tellClosed":
        track(encoding.closed(effect.message));
        events.emit("closed", effect.message);
        break;
      case "tellError":
        events.emit("error", effect.error);
        break;
    }
  }

  async function checkIn(): Promise<void> {
    checkIns += 1;
    const own = checkIns;
    let event: ParticipationEvent;
    try {
      const reply = await session.checkIn(taskId);
      const { task, assignment } = reply;
      layout.resolve(await checkLayout(task.layout));
      if (own === checkIns) {
        welcome.resolve(reply);
        welcomed = true;
      }
      event = { type: "checkedIn", assignment, taskPaused: task.paused };
    } catch (error) {
      event = { type: "checkInFailed", error: toFederatedError(error) };
    }
    // The answer to a check-in that a newer one, or the loss of the connection, has overtaken is stale.
    if (own === checkIns) dispatch(event);
  }

  /** Runs work whose result is an event, unless it is called off before. */
  function begin(run: (within: AbortSignal) => Promise<ParticipationEvent>): void {
    const controller = new AbortController();
    work = controller;
    const settle = async () => {
      let event: ParticipationEvent;
      try {
        event = await run(controller.signal);
      } catch (error) {
        event = { type: "workFailed", error: toFederatedError(error) };
      }
      if (controller.signal.aborted) return;
      work = undefined;
      dispatch(event);
    };
    track(settle());
  }

  function track(promise: Promise<void>): void {
    const tracked: Promise<void> = promise.finally(() => running.delete(tracked));
    running.add(tracked);
  }

  async function make(assignment: Assignment, within: AbortSignal): Promise<ParticipationEvent> {
    const offer = offerOf(assignment);
    const fault = await encoding.fault(assignment.plan);
    if (fault !== undefined) {
      tellError(fault);
      return { type: "declined" };
    }
    const { clientId } = await orAborted(welcome.promise, within);
    const identity = { clientKey: deps.clientKey, clientId };
    const finished = await orAborted(kept.find(assignment, identity), within);
    // Before the app is asked and the work is done, as far as it can be told now.
    const { admits, follows } = deps.privacy;
    const admitted = await orAborted((finished ? follows : admits)(assignment), within);
    if (!admitted) return { type: "declined" };
    const accepted = accept === undefined || (await orAborted(ask(accept, offer), within));
    if (!accepted) return { type: "declined" };
    if (finished !== undefined) {
      encoding.begins(assignment.roundId, assignment.plan);
      return { type: "trained", frame: finished };
    }
    const frame = await slot.run(within, async () => {
      events.emit("assigned", offer);
      const { runAssignment } = await training.get();
      return runAssignment(workDeps, {
        assignment,
        layout: await orAborted(layout.promise, within),
        trainer,
        signal: within,
        onReceived: (download) => events.emit("received", download),
        onProgress: (progress) => {
          if (within.aborted) return;
          events.emit("progress", { ...progress, roundId: assignment.roundId });
        },
      });
    });
    throwIfAborted(within);
    // Durable before it is sent: from here on nothing is trained, or spent, for this place again.
    await kept.keep(assignment, identity, frame);
    return { type: "trained", frame };
  }

  const ask = async (question: NonNullable<typeof accept>, offer: Offer) => question(offer);

  function setAlarm(delayMs: number): void {
    clearTimeout(alarm);
    alarm = setTimeout(() => dispatch({ type: "alarm" }), Math.min(delayMs, LONGEST_PAUSE_MS));
  }

  function finish(end: ParticipationEnd): void {
    checkIns += 1;
    clearTimeout(alarm);
    for (const unsubscribe of subscriptions) unsubscribe();
    signal?.removeEventListener("abort", onAbort);
    if (end.reason === "taskEnded") track(encoding.forget());
    const settle = async () => {
      await Promise.all(running);
      events.emit("ended", end);
      events.clear();
      done.resolve(end);
    };
    void settle();
  }

  /** Conditions are told of often: only what changes is acted on and told. */
  function weigh(): void {
    const before = pausedBy;
    pausedBy = reasons();
    if (String(before) === String(pausedBy)) return;
    dispatch(pausedBy.length > 0 ? pauseFor(pausedBy) : { type: "resume" });
    // What may never be sent may not wait for a later round either.
    if (pausedBy.includes("consent")) track(encoding.forget());
    events.emit("paused", pausedBy);
    if (pausedBy.length === 0) session.open();
  }

  const pauseByUser = (paused: boolean) => {
    pausedByUser = paused;
    weigh();
  };

  const leave = async (reason: "left" | "closed"): Promise<void> => {
    dispatch({ type: "leave", reason, goesOnElsewhere: pausedBy.includes("otherTab") });
    await done.promise;
  };
  const onAbort = () => void leave("left");

  const mine =
    <Message extends { readonly taskId: TaskId }>(
      toEvent: (message: Message) => ParticipationEvent,
    ) =>
    (message: Message) => {
      if (message.taskId === taskId) dispatch(toEvent(message));
    };
  const subscriptions = [
    session.on("connected", () => dispatch({ type: "connected" })),
    session.on("disconnected", () => {
      checkIns += 1;
      // The next connection may be another account's.
      if (welcomed) welcome = createDeferred();
      welcomed = false;
      dispatch({ type: "disconnected" });
    }),
    session.on("refused", (error) => dispatch({ type: "checkInFailed", error })),
    session.on(
      "assigned",
      mine((assignment) => ({ type: "assigned", assignment })),
    ),
    session.on(
      "roundClosed",
      mine((message) => ({ type: "roundClosed", message })),
    ),
    session.on(
      "taskPaused",
      mine(({ paused }) => ({ type: "taskPaused", paused })),
    ),
    session.on(
      "taskEnded",
      mine(({ reason }) => ({ type: "taskEnded", endReason: reason })),
    ),
    ...(conditions === undefined ? [] : [conditions.subscribe(weigh)]),
  ];
  signal?.addEventListener("abort", onAbort);
  if (pausedBy.length > 0) dispatch(pauseFor(pausedBy));
  if (signal?.aborted === true) onAbort();
  else if (session.connected) dispatch({ type: "connected" });
  // Whoever may not train yet is not told of to the coordinator either.
  else if (pausedBy.length === 0) session.open();

  return {
    taskId,
    get state() {
      return state.kind;
    },
    get pausedBy() {
      return pausedBy;
    },
    on: events.on,
    done: done.promise,
    pause: () => pauseByUser(true),
    resume: () => pauseByUser(false),
    leave: () => leave("left"),
    close: () => leave("closed"),
  };
}

function offerOf(assignment: Assignment): Offer {
  const { taskId, roundId, roundNumber, plan, checkpoint, deadlineAt, timeLeftMs } = assignment;
  return { taskId, roundId, roundNumber, plan, checkpoint, deadlineAt, timeLeftMs };
}
