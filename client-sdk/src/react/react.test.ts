import { parseTaskId } from "@tributary/protocol";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";

import type { Client, ClientOptions } from "../client.ts";
import { createClient } from "../client.ts";
import { createDeferred } from "../deferred.ts";
import type { TestCoordinator } from "../testing/index.ts";
import { createTrivialTrainer, startTestCoordinator } from "../testing/index.ts";
import type { Predictor, Trainer } from "../trainer.ts";
import type { ClientSnapshot } from "./client-store.ts";
import { createClientStore } from "./client-store.ts";
import { useFederatedClient, useModel, useTask } from "./index.ts";
import { createModelStore } from "./model-store.ts";
import type { Store } from "./store.ts";
import { createStore } from "./store.ts";
import type { TaskView } from "./task-store.ts";
import { createTaskStore } from "./task-store.ts";

const TASK = "tiny";

async function startTask(maxRounds: number): Promise<TestCoordinator> {
  const coordinator = await startTestCoordinator();
  await coordinator.tasks.create({
    taskId: parseTaskId(TASK),
    model: { tensors: [{ name: "w", shape: [3] }] },
    schedule: { minClients: 1, minReports: 1 },
    stop: { maxRounds },
  });
  return coordinator;
}

/** Looks at a store as a component does, and resolves with the first snapshot that `accept` takes. */
function look<Snapshot>(
  store: Store<Snapshot>,
  onSnapshot: (snapshot: Snapshot) => void = () => {},
) {
  const changed = new Set<() => void>();
  const unsubscribe = store.subscribe(() => {
    onSnapshot(store.getSnapshot());
    for (const check of [...changed]) check();
  });
  const until = (accept: (snapshot: Snapshot) => boolean) =>
    new Promise<Snapshot>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited in vain, it shows ${JSON.stringify(store.getSnapshot())}`));
      }, 10_000);
      const check = () => {
        const snapshot = store.getSnapshot();
        if (!accept(snapshot)) return;
        clearTimeout(timer);
        changed.delete(check);
        resolve(snapshot);
      };
      changed.add(check);
      check();
    });
  return { until, unsubscribe };
}

const weightsAsOutput: Predictor<number, number> = {
  load: async ([first = 0]) => ({ predict: async (input) => first * input, dispose: () => {} }),
};

test("[RX1] the hooks render on a server: no client, nothing joined, no model, and nothing is begun", () => {
  const made: string[] = [];
  const options: ClientOptions = {
    url: "http://127.0.0.1:9",
    token: () => {
      made.push("token");
      return "t".repeat(20);
    },
  };
  const trainer: Trainer = createTrivialTrainer();
  function Page() {
    const client = useFederatedClient(options);
    const task = useTask(client, TASK, { trainer });
    const model = useModel(client, TASK, weightsAsOutput);
    return createElement("p", null, `${typeof client} ${task.state} ${model.ready}`);
  }
  expect(renderToString(createElement(Page))).toBe("<p>undefined notJoined false</p>");
  expect(made).toEqual([]);
});

test("[RX2] a store begins with its first listener, ends with its last, and shows one object until it changes", () => {
  const log: string[] = [];
  const late: (() => void)[] = [];
  const initial = { n: 0 };
  const store = createStore(initial, (handle) => {
    log.push("start");
    handle.show({ n: handle.shown.n + 1 });
    late.push(() => handle.show({ n: 99 }));
    return () => void log.push("stop");
  });
  const twice = () => void log.push("told");
  const first = store.subscribe(twice);
  const second = store.subscribe(twice);
  const shown = store.getSnapshot();
  expect(shown).toEqual({ n: 1 });
  expect(store.getSnapshot()).toBe(shown);
  first();
  first();
  expect(log).toEqual(["start", "told"]);
  second();
  expect(log).toEqual(["start", "told", "stop"]);
  expect(store.getSnapshot()).toBe(initial);
  // As StrictMode does: again, and what the first start has to say is not heard any more.
  store.subscribe(twice);
  late[0]?.();
  expect(store.getSnapshot()).toEqual({ n: 1 });
  expect(log).toEqual(["start", "told", "stop", "start", "told"]);
});

test("[RX3] a client is made when it is looked at and closed when it is not; options that cannot be are the error shown", async () => {
  let options: ClientOptions | undefined = { url: "http://127.0.0.1:9" };
  const store = createClientStore(() => options);
  expect(store.getSnapshot()).toEqual({});
  const clients: (Client | undefined)[] = [];
  for (let mounts = 0; mounts < 2; mounts++) {
    const { unsubscribe } = look<ClientSnapshot>(store);
    clients.push(store.getSnapshot().client);
    unsubscribe();
  }
  const [first, second] = clients;
  expect(first).toBeDefined();
  expect(second).not.toBe(first);
  for (const client of [first!, second!]) {
    expect(() => client.join(TASK, { trainer: createTrivialTrainer() })).toThrow("closed");
  }
  options = { url: "ftp://nowhere" };
  look(store);
  expect(store.getSnapshot().error?.code).toBe("CONFIG_INVALID");
});

test("[RX4] a token function is the one rendered last", async () => {
  await using coordinator = await startTestCoordinator({
    config: { auth: { clientToken: "right-token-of-this-test", adminToken: "a".repeat(24) } },
  });
  await coordinator.tasks.create({
    taskId: parseTaskId(TASK),
    model: { tensors: [{ name: "w", shape: [3] }] },
  });
  let token = () => "wrong-token-of-this-test";
  const store = createClientStore(() => ({ url: coordinator.url, token }));
  const watching = look(store);
  token = () => "right-token-of-this-test";
  const client = store.getSnapshot().client!;
  const participant = client.join(TASK, { trainer: createTrivialTrainer() });
  const states = new Promise((resolve) => participant.on("state", resolve));
  expect(await states).toBe("checkingIn");
  watching.unsubscribe();
  await client.close();
});

test("[RX5] a component sees its participation: assignment, progress, receipt, the round's end and the task's", async () => {
  await using coordinator = await startTask(2);
  await using client = createClient({ url: coordinator.url });
  const store = createTaskStore(client, TASK, () => ({ trainer: createTrivialTrainer() }));
  const views: TaskView[] = [];
  const { until } = look(store, (view) => void views.push(view));
  const last = await until(({ state, end }) => state === "ended" && end !== undefined);
  expect(last.end).toEqual({ reason: "taskEnded", endReason: "maxRoundsReached" });
  expect(last.receipt).toMatchObject({ status: "accepted", duplicate: false });
  expect(last.closed).toMatchObject({ outcome: "committed" });
  expect(last.assignment?.roundNumber).toBe(2);
  expect(last.progress).toBeUndefined();
  const training = views.find(({ progress }) => progress !== undefined);
  expect(training).toMatchObject({ state: "training", progress: { epoch: 1, loss: 1 } });
  // Each is another object, so that React sees each change.
  expect(new Set(views).size).toBe(views.length);
});

test("[RX6] pause, resume and leave are the participant's; the latest trainer and the latest accept count", async () => {
  await using coordinator = await startTask(9);
  await using client = createClient({ url: coordinator.url });
  const began = createDeferred<undefined>();
  const stuck: Trainer = {
    train: ({ signal }) =>
      new Promise((_, reject) => {
        began.resolve(undefined);
        signal.addEventListener("abort", () => reject(new Error("stopped")));
      }),
  };
  let options = { trainer: stuck, accept: () => true };
  const { until } = look(createTaskStore(client, TASK, () => options));
  await began.promise;
  const training = await until(({ state }) => state === "training");
  training.pause();
  expect((await until(({ state }) => state === "paused")).pausedBy).toEqual(["user"]);
  const able = createTrivialTrainer();
  const asked: number[] = [];
  options = { trainer: able, accept: () => asked.push(1) > 0 };
  training.resume();
  const counted = await until(({ closed }) => closed?.outcome === "committed");
  expect(able.trainings).toBeGreaterThan(0);
  expect(asked.length).toBeGreaterThan(0);
  await counted.leave();
  expect(await until(({ end }) => end !== undefined)).toMatchObject({ end: { reason: "left" } });
});

test("[RX7] a component that is mounted again at once joins when it has left, without an error", async () => {
  await using coordinator = await startTask(3);
  await using client = createClient({ url: coordinator.url });
  const trainer = createTrivialTrainer();
  const views: TaskView[] = [];
  for (let mounts = 0; mounts < 4; mounts++) {
    // Another store for the same task, as another component has it, and the same one, as StrictMode does.
    const store = createTaskStore(client, TASK, () => ({ trainer }));
    look(store, (view) => void views.push(view)).unsubscribe();
    look(store, (view) => void views.push(view)).unsubscribe();
  }
  const { until } = look(createTaskStore(client, TASK, () => ({ trainer })));
  await until(({ end }) => end?.reason === "taskEnded");
  expect(views.filter(({ error }) => error !== undefined)).toEqual([]);
  // One that is joined elsewhere is said to be.
  await using other = createClient({ url: coordinator.url });
  const again = createTaskStore(other, TASK, () => ({ trainer }));
  const held = other.join(TASK, { trainer });
  const { unsubscribe } = look(again);
  expect(again.getSnapshot()).toMatchObject({
    state: "notJoined",
    error: { code: "CONFIG_INVALID" },
  });
  unsubscribe();
  await held.leave();
});

test("[RX8] a served model is shown with version, manifest and predictions, follows publications, and is closed", async () => {
  await using coordinator = await startTask(2);
  await using client = createClient({ url: coordinator.url });
  const store = createModelStore(client, TASK, weightsAsOutput);
  await expect(store.getSnapshot().predict(3)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const { until, unsubscribe } = look(store);
  const first = await until(({ ready }) => ready);
  expect(first).toMatchObject({ version: 0, manifest: { taskId: TASK, modelVersion: 0 } });
  await client.join(TASK, { trainer: createTrivialTrainer({ step: 2 }) }).done;
  const newest = await until(({ version }) => version === 2);
  expect(newest.predict).toBe(first.predict);
  expect(await newest.predict(3)).toBe(12);
  unsubscribe();
  await expect(first.predict(3)).rejects.toMatchObject({ code: "ABORTED" });
  expect(store.getSnapshot().version).toBeUndefined();
});

test("[RX9] without a client, or without a predictor, nothing is joined or served; a closed client is an error shown", async () => {
  const trainer = createTrivialTrainer();
  const nothing = createTaskStore(undefined, TASK, () => ({ trainer }));
  look(nothing);
  expect(nothing.getSnapshot().state).toBe("notJoined");
  await nothing.getSnapshot().leave();
  const client = createClient({ url: "http://127.0.0.1:9" });
  const bare = createModelStore(client, TASK, undefined);
  look(bare);
  expect(bare.getSnapshot()).toMatchObject({ ready: false });
  await client.close();
  const task = createTaskStore(client, TASK, () => ({ trainer }));
  const model = createModelStore(client, TASK, weightsAsOutput);
  look(task);
  look(model);
  expect(task.getSnapshot().error?.code).toBe("ABORTED");
  expect(model.getSnapshot().error?.code).toBe("ABORTED");
});
