/**
 * Everything the page shows, in one place: loaded once, then kept by events. After a `reset`, a gap or a
 * coordinator that started again it is loaded anew; what is shown meanwhile stays.
 */

import type {
  FederatedError as Fault,
  MonitoringEvent,
  Page,
  RoundResource,
  TaskHistory,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { batch, signal } from "@preact/signals";

import type { Api } from "./api.ts";
import { asFault } from "./api.ts";
import type { EventLog } from "./event-log.ts";
import { createEventLog } from "./event-log.ts";
import type { Follower } from "./follow-events.ts";
import { followEvents } from "./follow-events.ts";
import { MOST_ROUNDS } from "./round-history.ts";
import type { OwnedEntry, TaskEntry } from "./task-entry.ts";
import { createTaskEntry } from "./task-entry.ts";

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "live"; readonly sinceMs: number }
  /** What is shown is as of `lostAtMs`; the next attempt is at `retryAtMs`. Both by the local clock. */
  | {
      readonly kind: "lost";
      readonly fault: Fault;
      readonly lostAtMs: number;
      readonly retryAtMs: number;
    }
  /** For a reason that stays: UNAUTHENTICATED asks for a token. */
  | { readonly kind: "refused"; readonly fault: Fault };

export type Loading =
  | { readonly kind: "loading" }
  | { readonly kind: "ready" }
  /** The first load failed, or a later one, which leaves what was loaded before. */
  | { readonly kind: "failed"; readonly fault: Fault };

export interface Store {
  /** In order of creation; changes only when tasks come or go. Undefined before the first load. */
  readonly tasks: ReadonlySignal<readonly TaskEntry[] | undefined>;
  readonly loading: ReadonlySignal<Loading>;
  readonly connection: ReadonlySignal<Connection>;
  readonly log: EventLog;
  /** When everything was last loaded anew because events were missed; until somebody has read it. */
  readonly resetAtMs: ReadonlySignal<number | undefined>;
  /** It has been read. */
  dismissReset(): void;
  /** One task, or undefined where there is none of that name; reading it follows `tasks`. */
  entry(taskId: TaskId): TaskEntry | undefined;
  /** Loads one task again: after an action, say. Never throws: what is wrong the stream tells as well. */
  refreshTask(taskId: TaskId): Promise<void>;
  /**
   * Loads older rounds of a task, in one request, so that the history has `rounds` of them or all there are.
   * Calls for the same task come one after the other.
   * @throws FederatedError
   */
  loadRounds(taskId: TaskId, rounds?: number): Promise<void>;
  /**
   * Somebody looks at this task: what no event tells of it (clients that wait) is asked for every few
   * seconds, while it can matter. @returns how to stop
   */
  watch(taskId: TaskId): () => void;
  /** Tries to connect, or to load, at once; ends a rest. */
  retryNow(): void;
  /** Nobody looks: events may wait until `retryNow()`. */
  rest(): void;
  /** Forgets everything and begins anew: with another token, other things may be seen. */
  restart(): void;
  stop(): void;
}

export interface StoreDeps {
  readonly api: Api;
  readonly now: () => number;
  /** Calls back once. @returns how to call it off */
  readonly after: (ms: number, run: () => void) => () => void;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Rounds that are loaded of every task to begin with: a spark line, and the first rows of a table. */
const FIRST_ROUNDS = 50;
/** Requests that are under way at once; browsers keep six connections to one server. */
const AT_ONCE = 4;
const RELOAD_MS = 3000;
const WATCH_MS = 3000;
/** Events kept while a load is under way; whatever is older is in what is being loaded. */
const MOST_EARLY = 5000;

export function createStore({ api, now, after, random }: StoreDeps): Store {
  const tasks = signal<readonly OwnedEntry[] | undefined>(undefined);
  const loading = signal<Loading>({ kind: "loading" });
  const connection = signal<Connection>({ kind: "connecting" });
  const log = createEventLog();
  const resetAtMs = signal<number | undefined>(undefined);
  const byId = new Map<TaskId, OwnedEntry>();
  const histories = new Map<TaskId, Promise<void>>();
  /** Of tasks that are being loaded: events that came meanwhile. */
  const refreshing = new Map<TaskId, MonitoringEvent[]>();
  let follower: Follower | undefined;
  /** Grows with every load; an answer to an older one is passed over. */
  let generation = 0;
  /** Events that came while everything is being loaded. */
  let early: MonitoringEvent[] | undefined;
  let callOffReload = () => {};

  async function load(): Promise<void> {
    const mine = ++generation;
    callOffReload();
    early ??= [];
    if (loading.peek().kind === "failed") loading.value = { kind: "loading" };
    try {
      const { items } = await api.getJson<{ items: TaskResource[] }>(routes.tasks.path());
      if (mine !== generation) return;
      batch(() => {
        takeTasks(items);
        loading.value = { kind: "ready" };
        const missed = early ?? [];
        early = undefined;
        apply(missed);
      });
      await loadFirstRounds(mine);
    } catch (error) {
      if (mine !== generation) return;
      const fault = asFault(error);
      loading.value = { kind: "failed", fault };
      if (fault.retryable) callOffReload = after(RELOAD_MS, () => void load());
    }
  }

  /**
   * A task of the same name that was created at another time is another task. So, for this page, is one that goes
   * on from older data: its rounds are others by the same numbers.
   */
  function takeTasks(items: readonly TaskResource[]): void {
    const entries = items.map((item) => {
      const known = byId.get(item.taskId);
      if (known === undefined || !goesOn(known, item)) return createTaskEntry(api, item);
      known.replace(item);
      known.privacy.refresh();
      return known;
    });
    byId.clear();
    for (const entry of entries) byId.set(entry.taskId, entry);
    tasks.value = entries;
  }

  /** Only while no event is applied: what is known is not newer than what was loaded. */
  function goesOn({ task, history, agreesWith }: OwnedEntry, item: TaskResource): boolean {
    const { createdAt, roundsCommitted, roundsAbandoned, currentRound } = item;
    const newest = Math.max(roundsCommitted + roundsAbandoned, currentRound?.roundNumber ?? 0);
    if (task.peek().createdAt !== createdAt || history.newest > newest) return false;
    return currentRound === undefined || agreesWith(currentRound);
  }

  async function loadFirstRounds(mine: number): Promise<void> {
    const waiting = [...byId.values()];
    const work = async () => {
      for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
        if (mine !== generation) return;
        await loadNewest(entry);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** The newest page. Where it does not join what is known, that is forgotten rather than shown with a hole. */
  async function loadNewest(entry: OwnedEntry): Promise<void> {
    const { newest } = entry.history;
    const page = await pageOf(entry, FIRST_ROUNDS);
    if (!page.items.every(entry.agreesWith)) {
      const other = createTaskEntry(api, entry.task.peek());
      byId.set(entry.taskId, other);
      tasks.value = (tasks.peek() ?? []).map((each) => (each === entry ? other : each));
      other.addRounds(page.items);
      return;
    }
    const oldestLoaded = page.items.at(-1)?.roundNumber ?? 0;
    if (newest !== 0 && oldestLoaded > newest + 1) entry.history.clear();
    entry.addRounds(page.items);
  }

  const pageOf = ({ taskId }: TaskEntry, limit: number) =>
    api.getJson<Page<RoundResource>>(`${routes.rounds.path({ taskId })}?limit=${limit}`);

  async function loadOlder({ taskId, history }: OwnedEntry, rounds: number): Promise<void> {
    const { oldest, newest } = history;
    const after = Math.max(0, newest - rounds);
    const limit = oldest - 1 - after;
    if (newest === 0 || limit < 1) return;
    history.putColumns(
      await api.getJson<TaskHistory>(
        `${routes.history.path({ taskId })}?after=${after}&limit=${limit}`,
      ),
    );
  }

  function apply(events: readonly MonitoringEvent[]): void {
    const incomplete = new Set<TaskId>();
    for (const event of events) {
      const { taskId } = event;
      refreshing.get(taskId)?.push(event);
      const entry = byId.get(taskId);
      if (entry === undefined || entry.apply(event)) incomplete.add(taskId);
    }
    for (const taskId of incomplete) void refreshTask(taskId);
  }

  async function refreshTask(taskId: TaskId): Promise<void> {
    if (refreshing.has(taskId)) return;
    const mine = generation;
    const since: MonitoringEvent[] = [];
    refreshing.set(taskId, since);
    try {
      const task = await api.getJson<TaskResource>(routes.task.path({ taskId }));
      if (mine !== generation) return;
      const known = byId.get(taskId);
      if (known?.task.peek().createdAt === task.createdAt) {
        batch(() => known.replace(task, since));
        return;
      }
      const entry = createTaskEntry(api, task);
      byId.set(taskId, entry);
      batch(() => {
        for (const event of since) entry.apply(event);
        const others = (tasks.peek() ?? []).filter((other) => other.taskId !== taskId);
        tasks.value = [...others, entry];
      });
      await loadNewest(entry);
    } catch {
      // The stream or the next load tells what is wrong; what was shown stays.
    } finally {
      if (refreshing.get(taskId) === since) refreshing.delete(taskId);
    }
  }

  /** Who waits matters until the cohort is drawn, and is told to those who may know it. */
  function mayGather(entry: OwnedEntry): boolean {
    const { state, clientsWaiting, currentRound } = entry.task.peek();
    return (
      state !== "ended" &&
      clientsWaiting !== undefined &&
      (currentRound === undefined || currentRound.phase === "selecting")
    );
  }

  function follow(): void {
    connection.value = { kind: "connecting" };
    follower = followEvents(
      {
        open: (headers, signal) => api.open(routes.events.path(), { headers, signal }),
        after,
        random,
      },
      {
        connecting: () => {},
        opened: (resumed) => {
          const was = connection.peek();
          connection.value = { kind: "live", sinceMs: now() };
          if (was.kind === "lost") log.note(now(), "Connected again", "good");
          if (!resumed || loading.peek().kind !== "ready") void load();
        },
        received: (events) =>
          batch(() => {
            log.add(events);
            if (early === undefined) apply(events);
            else early = [...early, ...events].slice(-MOST_EARLY);
          }),
        reset: () => {
          log.note(
            now(),
            "The coordinator has started again, or too much was missed: all is loaded anew",
          );
          resetAtMs.value = now();
          void load();
        },
        lost: (fault, retryInMs) => {
          const was = connection.peek();
          const lostAtMs = was.kind === "lost" ? was.lostAtMs : now();
          if (was.kind === "live") log.note(now(), `Connection lost: ${fault.message}`, "bad");
          connection.value = { kind: "lost", fault, lostAtMs, retryAtMs: now() + retryInMs };
        },
        refused: (fault) => {
          connection.value = { kind: "refused", fault };
        },
      },
    );
  }

  const stop = () => {
    generation += 1;
    callOffReload();
    follower?.stop();
    follower = undefined;
  };

  return {
    tasks,
    loading,
    connection,
    log,
    resetAtMs,
    dismissReset: () => {
      resetAtMs.value = undefined;
    },
    entry: (taskId) => (tasks.value === undefined ? undefined : byId.get(taskId)),
    refreshTask,
    loadRounds: (taskId, rounds = MOST_ROUNDS) => {
      const entry = byId.get(taskId);
      if (entry === undefined) return Promise.resolve();
      const running = histories.get(taskId);
      // A later call may want more than the one under way.
      const loads = (running ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => loadOlder(entry, rounds))
        .finally(() => {
          if (histories.get(taskId) === loads) histories.delete(taskId);
        });
      histories.set(taskId, loads);
      return loads;
    },
    watch: (taskId) => {
      let callOff = () => {};
      const look = () => {
        const entry = byId.get(taskId);
        const live = connection.peek().kind === "live";
        if (entry !== undefined && live && mayGather(entry)) void refreshTask(taskId);
        callOff = after(WATCH_MS, look);
      };
      look();
      return () => callOff();
    },
    retryNow: () => {
      if (connection.peek().kind === "refused") {
        stop();
        follow();
        return;
      }
      if (loading.peek().kind === "failed") void load();
      follower?.retryNow();
    },
    rest: () => follower?.rest(),
    restart: () => {
      stop();
      batch(() => {
        byId.clear();
        refreshing.clear();
        early = undefined;
        tasks.value = undefined;
        loading.value = { kind: "loading" };
        log.clear();
        resetAtMs.value = undefined;
      });
      follow();
    },
    stop,
  };
}
