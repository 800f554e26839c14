import type {
  MonitoringEvent,
  Page,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";
import { FederatedError, routes } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Api } from "./api.ts";
import {
  committedOf,
  historyOf,
  privateTaskOf,
  roundEvent,
  roundOf,
  taskOf,
} from "./resources.fixture.ts";
import type { Store } from "./store.ts";
import { createStore } from "./store.ts";

/** Lets everything run that waits for nothing. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const DIGITS = "digits" as TaskId;

interface Coordinator {
  tasks: TaskResource[];
  /** Of every task, newest first. */
  rounds: RoundResource[];
  /** What was asked for. */
  readonly asked: string[];
  /** Connections to the stream, with the id each goes on after. */
  readonly streams: {
    readonly afterId: string | undefined;
    send(text: string): void;
    cut(): void;
  }[];
  /** Runs before each answer. */
  beforeAnswer: (path: string) => Promise<void>;
  readonly api: Api;
}

/** A coordinator in memory behind the one port of the store. */
function coordinator(): Coordinator {
  const answer = (path: string): unknown => {
    const { pathname, searchParams } = new URL(path, "http://coordinator");
    if (pathname === routes.tasks.path()) return { items: self.tasks };
    const known = self.tasks.find(({ taskId }) =>
      pathname.startsWith(routes.task.path({ taskId })),
    );
    if (known === undefined) throw new FederatedError("TASK_NOT_FOUND", "no such task");
    if (pathname === routes.task.path(known)) return known;
    const limit = Number(searchParams.get("limit"));
    if (pathname === routes.history.path(known)) {
      const after = Number(searchParams.get("after"));
      const asked = self.rounds.filter(({ roundNumber }) => roundNumber > after).reverse();
      return historyOf(asked.slice(0, limit));
    }
    const items = self.rounds.slice(0, limit);
    return { items } satisfies Page<RoundResource>;
  };
  const self: Coordinator = {
    tasks: [taskOf()],
    rounds: [],
    asked: [],
    streams: [],
    beforeAnswer: async () => {},
    api: {
      getJson: async <T>(path: string) => {
        self.asked.push(path);
        const value = answer(path);
        await self.beforeAnswer(path);
        return value as T;
      },
      send: async () => Promise.reject(new Error("nothing is sent")),
      open: async (_path, { headers = {} } = {}) => {
        const encoder = new TextEncoder();
        return new Response(
          new ReadableStream<Uint8Array>({
            start: (controller) => {
              self.streams.push({
                afterId: headers["last-event-id"],
                send: (text) => controller.enqueue(encoder.encode(text)),
                cut: () => controller.error(new TypeError("network error")),
              });
            },
          }),
        );
      },
    },
  };
  return self;
}

/** A store whose timers run only when told to. */
function open(api: Api) {
  const timers = new Set<{ ms: number; run: () => void }>();
  const store = createStore({
    api,
    now: () => 1000,
    random: () => 0.5,
    after: (ms, run) => {
      const timer = { ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  });
  const runTimers = (ms: number) => {
    for (const timer of [...timers]) {
      if (timer.ms !== ms) continue;
      timers.delete(timer);
      timer.run();
    }
  };
  store.restart();
  return { store, runTimers };
}

let lastId = 100;
const textOf = (event: MonitoringEvent) =>
  `id: ${++lastId}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
const taskIn = (store: Store) => store.entry(DIGITS)?.task.peek();
const ready = (store: Store) => expect.poll(() => store.entry(DIGITS)?.history.newest).toBe;

test("[DB2] everything is loaded once the stream is open, and events that came meanwhile are applied to it", async () => {
  const service = coordinator();
  service.tasks = [taskOf({ roundsCommitted: 1, currentRound: roundOf(2) })];
  service.rounds = [roundOf(2), committedOf(1)];
  service.beforeAnswer = async (path) => {
    if (path !== routes.tasks.path()) return;
    // After the answer was made, and before it arrives.
    service.streams[0]?.send(textOf(roundEvent(committedOf(2))));
    service.streams[0]?.send(textOf(roundEvent(committedOf(1))));
    await turn();
  };
  const { store } = open(service.api);
  expect(store.tasks.peek()).toBeUndefined();
  await ready(store)(2);
  expect(taskIn(store)).toMatchObject({ roundsCommitted: 2 });
  expect(store.entry(DIGITS)?.history.phaseOf(2)).toBe("committed");
  expect(service.asked.filter((path) => path === routes.tasks.path())).toHaveLength(1);
  store.stop();
});

test("[DB2] a resumed stream loads nothing again; a reset does, and keeps what is shown meanwhile", async () => {
  const service = coordinator();
  const { store, runTimers } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  service.streams[0]?.send(": alive\nid: 7\n\n");
  service.streams[0]?.cut();
  await expect.poll(() => store.connection.peek().kind).toBe("lost");
  expect(store.connection.peek()).toMatchObject({ lostAtMs: 1000, retryAtMs: 1375 });
  expect(store.tasks.peek()).toHaveLength(1);
  runTimers(375);
  await expect.poll(() => store.connection.peek().kind).toBe("live");
  expect(service.streams[1]?.afterId).toBe("7");
  expect(service.asked).toHaveLength(2);

  service.tasks = [taskOf({ roundsCommitted: 40 })];
  service.rounds = [committedOf(40), committedOf(39)];
  service.streams[1]?.send("event: reset\ndata: {}\n\n");
  await expect.poll(() => taskIn(store)?.roundsCommitted).toBe(40);
  expect(store.log.entries.peek().map(({ text }) => text)).toEqual([
    expect.stringContaining("loaded anew"),
    "Connected again",
    expect.stringContaining("Connection lost"),
  ]);
  expect(store.resetAtMs.peek()).toBe(1000);
  store.dismissReset();
  expect(store.resetAtMs.peek()).toBeUndefined();
  store.stop();
});

test("[DB2] rounds missed for longer than a page make no hole in the history", async () => {
  const service = coordinator();
  service.tasks = [taskOf({ roundsCommitted: 3 })];
  service.rounds = [committedOf(3), committedOf(2), committedOf(1)];
  const { store } = open(service.api);
  await ready(store)(3);
  service.rounds = Array.from({ length: 200 }, (_, i) => committedOf(200 - i));
  service.tasks = [taskOf({ roundsCommitted: 200 })];
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await ready(store)(200);
  const history = store.entry(DIGITS)?.history;
  expect([history?.oldest, history?.missing()]).toEqual([151, 0]);
  await store.loadRounds(DIGITS);
  expect([history?.oldest, history?.missing()]).toEqual([1, 0]);
  expect(service.asked.at(-1)).toBe("/v1/tasks/digits/history?after=0&limit=150");
  store.stop();
});

test("[DB2] a load that fails says so, keeps what was there, and is tried again", async () => {
  const service = coordinator();
  const { store, runTimers } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  service.beforeAnswer = async () => Promise.reject(new FederatedError("UNAVAILABLE", "busy"));
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await expect.poll(() => store.loading.peek().kind).toBe("failed");
  expect(store.tasks.peek()).toHaveLength(1);
  service.beforeAnswer = async () => {};
  service.tasks = [taskOf({ roundsCommitted: 2 })];
  runTimers(3000);
  await expect.poll(() => taskIn(store)?.roundsCommitted).toBe(2);
  expect(store.loading.peek().kind).toBe("ready");
  store.stop();
});

test("[DB2] a task that is created later appears, with what happened while it was loaded", async () => {
  const service = coordinator();
  const later = "later" as TaskId;
  const { store } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  service.tasks = [taskOf(), taskOf({ taskId: later })];
  service.beforeAnswer = async (path) => {
    if (path !== routes.task.path({ taskId: later })) return;
    service.streams[0]?.send(textOf(roundEvent(roundOf(1, { taskId: later }))));
    await turn();
  };
  service.streams[0]?.send(
    textOf({ id: "1", type: "task:created", at: "", taskId: later, data: { state: "running" } }),
  );
  await expect.poll(() => store.entry(later)?.task.peek().currentRound?.roundNumber).toBe(1);
  expect(store.tasks.peek()?.map(({ taskId }) => taskId)).toEqual([DIGITS, later]);
  store.stop();
});

test("[DB4] rounds that this page was not told of have their task loaded again, and no event is lost meanwhile", async () => {
  const service = coordinator();
  const { store } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  service.tasks = [taskOf({ roundsCommitted: 5, currentRound: roundOf(6) })];
  service.beforeAnswer = async () => {
    service.streams[0]?.send(textOf(roundEvent(roundOf(6, { phase: "reporting" }))));
    await turn();
  };
  service.streams[0]?.send(textOf(roundEvent(roundOf(6))));
  await expect.poll(() => taskIn(store)?.roundsCommitted).toBe(5);
  expect(taskIn(store)?.currentRound?.phase).toBe("reporting");
  store.stop();
});

test("[DB4] how long a task rests after an abandoned round is asked of the coordinator", async () => {
  const service = coordinator();
  const { store } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  const nextRoundAt = "2026-01-02T04:00:00.000Z";
  service.tasks = [taskOf({ roundsAbandoned: 1, nextRoundAt })];
  service.streams[0]?.send(textOf(roundEvent(committedOf(1, { phase: "abandoned" }))));
  await expect.poll(() => taskIn(store)?.nextRoundAt).toBe(nextRoundAt);
  store.stop();
});

test("[DB2] a task of the same name that was created at another time is another task", async () => {
  const service = coordinator();
  service.tasks = [taskOf({ roundsCommitted: 2 })];
  service.rounds = [committedOf(2), committedOf(1)];
  const { store } = open(service.api);
  await ready(store)(2);
  const before = store.entry(DIGITS);
  service.tasks = [taskOf({ createdAt: "2026-02-02T00:00:00.000Z" })];
  service.rounds = [];
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await expect.poll(() => store.entry(DIGITS) !== before).toBe(true);
  expect(store.entry(DIGITS)?.history.newest).toBe(0);
  store.stop();
});

test("[DB33] rounds of a coordinator that goes on from older data are other rounds, however far it has come again", async () => {
  const service = coordinator();
  const upTo = (count: number, more: Partial<RoundResource> = {}, from = count + 1) =>
    Array.from({ length: count }, (_, i) => count - i).map((n) =>
      committedOf(n, n >= from ? more : {}),
    );
  service.tasks = [taskOf({ roundsCommitted: 5 })];
  service.rounds = upTo(5);
  const { store } = open(service.api);
  await ready(store)(5);
  const first = store.entry(DIGITS);

  service.tasks = [taskOf({ roundsCommitted: 3 })];
  service.rounds = upTo(3);
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await ready(store)(3);
  expect(store.entry(DIGITS)?.round.peek()?.roundNumber).toBe(3);
  service.streams[0]?.send(textOf(roundEvent(roundOf(4))));
  await expect.poll(() => store.entry(DIGITS)?.round.peek()?.phase).toBe("selecting");
  expect(store.entry(DIGITS)?.history.phaseOf(4)).toBe("selecting");
  expect(store.entry(DIGITS)?.key).not.toBe(first?.key);

  const other = { openedAt: "2026-02-02T00:00:00.000Z", trainLoss: 7 };
  service.tasks = [taskOf({ roundsCommitted: 6 })];
  service.rounds = upTo(6, other, 4);
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await ready(store)(6);
  expect(store.entry(DIGITS)?.history.cell(4, "trainLoss")).toBe(7);
  const kept = store.entry(DIGITS);
  service.rounds = upTo(8, other, 4);
  service.tasks = [taskOf({ roundsCommitted: 8 })];
  service.streams[0]?.send("event: reset\ndata: {}\n\n");
  await ready(store)(8);
  expect(store.entry(DIGITS)).toBe(kept);
  store.stop();
});

test("[DB5] who waits is asked for while somebody looks, until the cohort is drawn, and never where it is withheld", async () => {
  const service = coordinator();
  const { store, runTimers } = open(service.api);
  await expect.poll(() => service.asked.length).toBe(2);
  const path = routes.task.path({ taskId: DIGITS });
  const asked = () => service.asked.filter((other) => other === path).length;
  const stop = store.watch(DIGITS);
  await turn();
  service.tasks = [taskOf({ clientsWaiting: 9, currentRound: roundOf(1) })];
  runTimers(3000);
  await expect.poll(() => taskIn(store)?.clientsWaiting).toBe(9);
  service.streams[0]?.send(textOf(roundEvent(roundOf(1, { phase: "reporting" }))));
  await expect.poll(() => taskIn(store)?.currentRound?.phase).toBe("reporting");
  const before = asked();
  runTimers(3000);
  runTimers(3000);
  expect(asked()).toBe(before);

  service.streams[0]?.send(textOf(roundEvent(committedOf(1))));
  await expect.poll(() => taskIn(store)?.roundsCommitted).toBe(1);
  service.tasks = [privateTaskOf({ roundsCommitted: 1 })];
  runTimers(3000);
  await expect.poll(() => taskIn(store)?.clientsWaiting).toBeUndefined();
  const withheld = asked();
  runTimers(3000);
  runTimers(3000);
  expect(asked()).toBe(withheld);
  stop();
  store.stop();
});
