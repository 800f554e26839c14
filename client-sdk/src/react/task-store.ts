/** One participation as a component sees it: joined while it is looked at, left afterwards. */

import type { FederatedError, Receipt, RoundClosed, RoundId } from "@tributary/protocol";
import { toFederatedError } from "@tributary/protocol";

import type { Client } from "../client.ts";
import type { PauseReason } from "../conditions.ts";
import type { JoinOptions, Offer, Participant } from "../participant.ts";
import type { ParticipationEnd, ParticipationState } from "../participation.ts";
import type { Trainer, TrainingProgress } from "../trainer.ts";
import type { Store, StoreHandle } from "./store.ts";
import { createStore } from "./store.ts";

/** What a component may know of its part in a task. The same object until something has changed. */
export interface TaskSnapshot {
  /** `notJoined` without a client, on a server, and until the first effect has run. */
  readonly state: ParticipationState | "notJoined";
  /** Why it does not train now: "user" after `pause()`, and what the conditions say. Empty: nothing against it. */
  readonly pausedBy: readonly PauseReason[];
  /** The assignment under way, or the last one. */
  readonly assignment?: Offer;
  /** Of the training under way; absent between two. */
  readonly progress?: TrainingProgress & { readonly roundId: RoundId };
  /** Of the last update that was counted. */
  readonly receipt?: Receipt;
  /** The last round that this client was in and that has ended. */
  readonly closed?: RoundClosed;
  /** The last thing that went wrong and is being mended, until the next update is counted. */
  readonly error?: FederatedError;
  /** Why it is over; only with `ended`. */
  readonly end?: ParticipationEnd;
}

export interface TaskActions {
  /** Gives up the work under way and takes no more until `resume()`. Nothing happens where nothing is joined. */
  pause(): void;
  resume(): void;
  /** Takes leave; another `client` or `taskId`, or mounting anew, joins again. */
  leave(): Promise<void>;
}

export type TaskView = TaskSnapshot & TaskActions;

export const NOT_JOINED: TaskView = {
  state: "notJoined",
  pausedBy: [],
  pause: () => {},
  resume: () => {},
  leave: async () => {},
};

/** Participations that have been told to leave and are not over: a client joins a task once at a time. */
const leaving = new WeakMap<Client, Map<string, Promise<unknown>>>();

/**
 * @param latest the options as they are now: the trainer is asked for at each assignment, so that a component
 * may hand over another one; `signal` and `conditions` count as they were when the task was joined
 */
export function createTaskStore(
  client: Client | undefined,
  taskId: string,
  latest: () => JoinOptions,
): Store<TaskView> {
  return createStore(NOT_JOINED, (handle) => {
    if (client === undefined) return () => {};
    let participant: Participant | undefined;
    let wanted = true;
    const begin = () => {
      if (!wanted) return;
      try {
        participant = client.join(taskId, followingLatest(latest));
        follow(participant, handle);
      } catch (error) {
        handle.show({ ...NOT_JOINED, error: toFederatedError(error) });
      }
    };
    const before = leaving.get(client)?.get(taskId);
    if (before === undefined) begin();
    else void before.then(begin);
    return () => {
      wanted = false;
      if (participant !== undefined) takeLeave(client, participant);
    };
  });
}

function follow(participant: Participant, { shown, show }: StoreHandle<TaskView>): void {
  const actions: TaskActions = {
    pause: () => participant.pause(),
    resume: () => participant.resume(),
    leave: () => participant.leave(),
  };
  let view: TaskView = {
    ...shown,
    ...actions,
    state: participant.state,
    pausedBy: participant.pausedBy,
  };
  const change = (changes: Partial<TaskSnapshot>) => show((view = { ...view, ...changes }));
  const without = (...names: readonly (keyof TaskSnapshot)[]): TaskView =>
    Object.fromEntries(
      Object.entries(view).filter(([name]) => !(names as readonly string[]).includes(name)),
    ) as unknown as TaskView;

  participant.on("state", (state) => {
    if (state !== "training") view = without("progress");
    change({ state });
  });
  participant.on("paused", (pausedBy) => change({ pausedBy }));
  participant.on("assigned", (assignment) => change({ assignment }));
  participant.on("progress", (progress) => change({ progress }));
  participant.on("reported", (receipt) => {
    view = without("error");
    change({ receipt });
  });
  participant.on("closed", (closed) => change({ closed }));
  participant.on("error", (error) => change({ error }));
  participant.on("ended", (end) => change({ end }));
  show(view);
}

function takeLeave(client: Client, participant: Participant): void {
  const { taskId } = participant;
  const own = leaving.get(client) ?? new Map<string, Promise<unknown>>();
  leaving.set(client, own);
  const left = participant.leave().then(() => {
    if (own.get(taskId) === left) own.delete(taskId);
  });
  own.set(taskId, left);
}

/** Options that ask for what is latest when it is needed. */
function followingLatest(latest: () => JoinOptions): JoinOptions {
  const joined = latest();
  const trainer: Trainer = {
    train: (request) => latest().trainer.train(request),
    evaluate: async (request) => latest().trainer.evaluate?.(request),
  };
  return {
    ...joined,
    trainer,
    accept: async (offer) => latest().accept?.(offer) ?? true,
  };
}
