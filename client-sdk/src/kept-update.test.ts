import type { Assignment, ClientId } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../test/support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import { createMemoryCache } from "./cache.ts";
import { createClientKey } from "./client-key.ts";
import type { ClientOptions } from "./client.ts";
import { createClient } from "./client.ts";
import type { PauseReason } from "./conditions.ts";
import { createDeferred } from "./deferred.ts";
import type { Participant } from "./participant.ts";
import type { PendingUpdate, PendingUpdateStore } from "./pending-updates.ts";
import { createMemoryPendingUpdates } from "./pending-updates.ts";
import { createMemoryLedger } from "./privacy/ledger-store.ts";
import type { Trainer } from "./trainer.ts";

interface CountingTrainer extends Trainer {
  readonly trainings: number;
}

/** Each training ends somewhere else, so that an update tells which one it is of. */
function countingTrainer(): CountingTrainer {
  let trainings = 0;
  return {
    get trainings() {
      return trainings;
    },
    train: async ({ weights }) => {
      trainings += 1;
      const step = trainings;
      return { weights: weights.map((weight) => weight + step), numExamples: 1, metrics: {} };
    },
  };
}

const state = (participant: Participant, wanted: string) =>
  expect.poll(() => participant.state, { timeout: 5_000 }).toBe(wanted);

/** One person's device: what it keeps outlives each of its clients. */
function createDevice(fake: FakeCoordinator) {
  const pendingUpdates = createMemoryPendingUpdates();
  const kept = () => pendingUpdates.get(new URL(fake.url).origin, TASK);
  const trainer = countingTrainer();
  const options: ClientOptions = {
    url: fake.url,
    clientKey: createClientKey(),
    cache: createMemoryCache(),
    pendingUpdates,
    backoff: { baseMs: 5, maxMs: 20 },
    ackTimeoutMs: 1_000,
  };
  /** Trains and sends until the answer is lost, then ends without a word, as a page does that is reloaded. */
  const dieWhileSending = async (assignment: Assignment, more: Partial<ClientOptions> = {}) => {
    const before = fake.puts.length;
    const answer = fake.answerPut;
    fake.answerPut = () => ({ status: 0, hangUp: true });
    const client = createClient({ ...options, ...more });
    const participant = client.join(TASK, { trainer });
    await state(participant, "waiting");
    fake.emit("round:assigned", assignment);
    await fake.until("PUT", before + 1);
    await client.close();
    fake.answerPut = answer;
    fake.place = assignment;
  };
  return { pendingUpdates, kept, trainer, options, dieWhileSending };
}

const LOCAL_NOISE = { noiseMultiplier: 2, delta: 1e-6, maxEpsilon: 2.3 };
const noisy = (fake: FakeCoordinator, roundNumber = 1) => {
  const assignment = fake.assignment(roundNumber);
  return {
    ...assignment,
    plan: { ...assignment.plan, clippingNorm: 1, localNoise: LOCAL_NOISE },
  };
};

test("[KU4] a client that starts again sends what it had made, byte for byte, without training", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  expect(await device.kept()).toMatchObject({ roundId: "fake.1" });
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "awaitingClose");
  expect(device.trainer.trainings).toBe(1);
  expect(fake.puts.at(-1)!.body).toEqual(fake.puts[0]!.body);
  // A coordinator that is restarted after that asks once more.
  fake.drop();
  await fake.until("PUT", fake.puts.length + 1);
  await state(participant, "awaitingClose");
  expect(fake.puts.at(-1)!.body).toEqual(fake.puts[0]!.body);
});

test("[KU4] an update that was counted before the client started again is found when it is wanted once more", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  const sent = fake.puts.length;
  fake.place = fake.assignment(1, { reported: true });
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "awaitingClose");
  expect(fake.puts).toHaveLength(sent);
  fake.emit("round:assigned", fake.assignment(1));
  await fake.until("PUT", sent + 1);
  expect(fake.puts.at(-1)!.body).toEqual(fake.puts[0]!.body);
  expect(device.trainer.trainings).toBe(1);
});

test("[KU4] under local noise a restart draws nothing from the ledger again, also where nothing would be left", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const privacy = { ledger: createMemoryLedger() };
  await device.dieWhileSending(noisy(fake), { privacy });
  await using client = createClient({ ...device.options, privacy });
  const before = await client.privacy(TASK);
  expect(before.updates).toBe(1);
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "awaitingClose");
  expect(fake.puts.at(-1)!.body).toEqual(fake.puts[0]!.body);
  expect(await client.privacy(TASK)).toEqual(before);
  // The budget was for one update: the next round is refused.
  fake.emit("round:assigned", noisy(fake, 2));
  await expect(participant.done).resolves.toMatchObject({ reason: "privacyBudgetSpent" });
});

test("[KU4] an update is kept, durably, before it is sent for the first time", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const gate = createDeferred<undefined>();
  const begun = createDeferred<PendingUpdate>();
  const pendingUpdates: PendingUpdateStore = {
    ...device.pendingUpdates,
    put: async (update) => {
      begun.resolve(update);
      await gate.promise;
      await device.pendingUpdates.put(update);
    },
  };
  await using client = createClient({ ...device.options, pendingUpdates });
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  const { frame } = await begun.promise;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(fake.puts).toHaveLength(0);
  gate.resolve(undefined);
  await state(participant, "awaitingClose");
  expect(fake.puts[0]!.body).toEqual(frame);
});

test("[KU5] what is kept is deleted when its round ends, also while it is still being written", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const over = { taskId: TASK, roundId: fake.assignment(1).roundId, outcome: "abandoned" };
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  expect(await device.kept()).toBeDefined();
  fake.emit("round:closed", over);
  await expect.poll(device.kept).toBeUndefined();
  await client.close();

  const gate = createDeferred<undefined>();
  const begun = createDeferred<undefined>();
  const slow: PendingUpdateStore = {
    ...device.pendingUpdates,
    put: async (update) => {
      begun.resolve(undefined);
      await gate.promise;
      await device.pendingUpdates.put(update);
    },
  };
  await using other = createClient({ ...device.options, pendingUpdates: slow });
  const second = other.join(TASK, { trainer: device.trainer });
  await state(second, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await begun.promise;
  fake.emit("round:closed", over);
  await state(second, "waiting");
  gate.resolve(undefined);
  await other.close();
  expect(await device.kept()).toBeUndefined();
});

test("[KU5] a client that finds no place after its restart keeps nothing for it", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  fake.place = undefined;
  await using client = createClient(device.options);
  await state(client.join(TASK, { trainer: device.trainer }), "waiting");
  await expect.poll(device.kept).toBeUndefined();
});

test("[KU6] what is kept is sent by nobody else, for no other model or rules, and only whole", async () => {
  const base = { clippingNorm: 1 };
  type Device = ReturnType<typeof createDevice>;
  type Change = (
    device: Device,
    fake: FakeCoordinator,
  ) => Promise<void> | Partial<ClientOptions> | undefined;
  const ways: Record<string, Change> = {
    "another client key": () => ({ clientKey: createClientKey() }),
    "another account": (_, fake) => {
      fake.clientId = "somebody-else" as ClientId;
      return undefined;
    },
    "another round": (_, fake) => {
      fake.place = fake.assignment(2, { plan: fake.place!.plan });
      return undefined;
    },
    "a coordinator that was set up anew": async (_, fake) => {
      const checkpoint = await fake.store(0, new Float32Array(6).fill(0.5));
      fake.place = { ...fake.place!, checkpoint };
    },
    "a smaller norm": (_, fake) => {
      fake.place = { ...fake.place!, plan: { ...fake.place!.plan, clippingNorm: 0.5 } };
      return undefined;
    },
    "a bound on how often": (_, fake) => {
      const participation = { minSeparation: 1, maxParticipations: 9 };
      fake.place = { ...fake.place!, plan: { ...fake.place!.plan, participation } };
      return undefined;
    },
    "no figures any more": (_, fake) => {
      fake.place = { ...fake.place!, plan: { ...fake.place!.plan, evaluate: true } };
      return undefined;
    },
    "a damaged frame": async ({ kept, pendingUpdates }) => {
      const update = (await kept())!;
      const frame = update.frame.slice();
      frame[70] = (frame[70] ?? 0) ^ 1;
      await pendingUpdates.put({ ...update, frame });
    },
    "another origin": async ({ kept, pendingUpdates }) => {
      const update = (await kept())!;
      await pendingUpdates.delete(update.origin, TASK, update.roundId);
      await pendingUpdates.put({ ...update, origin: "https://elsewhere.example" });
    },
  };
  for (const [way, change] of Object.entries(ways)) {
    await using fake = await startFakeCoordinator();
    const device = createDevice(fake);
    const assignment = fake.assignment(1);
    await device.dieWhileSending({ ...assignment, plan: { ...assignment.plan, ...base } });
    const sent = fake.puts.length;
    const more = (await change(device, fake)) ?? {};
    await using client = createClient({ ...device.options, ...more });
    const participant = client.join(TASK, { trainer: device.trainer });
    await fake.until("PUT", sent + 1);
    await state(participant, "awaitingClose");
    expect(device.trainer.trainings, way).toBe(2);
    expect((await device.kept())?.roundId, way).toBe(fake.place!.roundId);
  }
});

test("[KU6] a frame that a place does not take is not sent, kept or not", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer });
  const errors: FederatedError[] = [];
  participant.on("error", (error) => errors.push(error));
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  const { update } = fake.assignment(1);
  fake.emit("round:assigned", fake.assignment(1, { update: { ...update, maxBytes: 80 } }));
  await fake.until("decline");
  expect(fake.puts).toHaveLength(1);
  expect(errors.map(({ code }) => code)).toEqual(["UPDATE_TOO_LARGE"]);
  await expect.poll(device.kept).toBeUndefined();
});

test("[KU7] a store that fails is told of and costs at most a training: the update is sent", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const fails = async () => {
    throw new Error("the disk is full");
  };
  for (const broken of [
    { put: fails },
    { get: fails },
    { delete: fails },
    { put: fails, get: fails, delete: fails },
  ] satisfies Partial<PendingUpdateStore>[]) {
    const pendingUpdates = { ...createMemoryPendingUpdates(), ...broken };
    const client = createClient({ ...device.options, pendingUpdates });
    const participant = client.join(TASK, { trainer: device.trainer });
    const causes: unknown[] = [];
    participant.on("error", (error) => causes.push(error.cause));
    await state(participant, "waiting");
    fake.emit("round:assigned", fake.assignment(1));
    await state(participant, "awaitingClose");
    const over = { taskId: TASK, roundId: fake.assignment(1).roundId, outcome: "abandoned" };
    fake.emit("round:closed", over);
    await state(participant, "waiting");
    await client.close();
    expect(causes.length).toBeGreaterThan(0);
    expect(causes.every((cause) => String(cause) === "Error: the disk is full")).toBe(true);
  }
  expect(fake.puts).toHaveLength(4);
});

test("[KU8] without consent what is kept is deleted and never sent", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  const sent = fake.puts.length;
  let against: readonly PauseReason[] = ["consent"];
  let changed = (): void => undefined;
  const conditions = {
    get against() {
      return against;
    },
    subscribe: (listener: () => void) => {
      changed = listener;
      return () => undefined;
    },
  };
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer, conditions });
  await expect.poll(device.kept).toBeUndefined();
  // Granted in time: the round gets an update that is made now.
  against = [];
  changed();
  await state(participant, "awaitingClose");
  expect(device.trainer.trainings).toBe(2);
  expect(fake.puts.at(-1)!.body).not.toEqual(fake.puts[0]!.body);
  expect(fake.puts).toHaveLength(sent + 1);
  // Withdrawn after it was counted: it is not sent a second time.
  against = ["consent"];
  changed();
  await expect.poll(device.kept).toBeUndefined();
  fake.emit("round:assigned", fake.assignment(1));
  await fake.until("decline");
  expect(fake.puts).toHaveLength(sent + 1);
});

test("[KU8] a store that refuses, as consent was withdrawn elsewhere, is obeyed: nothing is sent", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const refuse = async () => {
    throw new FederatedError("ABORTED", "consent was withdrawn: no update is kept");
  };
  for (const refused of [{ put: refuse }, { get: refuse, put: refuse, delete: refuse }]) {
    const pendingUpdates = { ...createMemoryPendingUpdates(), ...refused };
    const client = createClient({ ...device.options, pendingUpdates });
    const participant = client.join(TASK, { trainer: device.trainer });
    const errors: string[] = [];
    participant.on("error", ({ code }) => errors.push(code));
    await state(participant, "waiting");
    fake.emit("round:assigned", fake.assignment(1));
    await expect.poll(() => errors).toContain("ABORTED");
    await client.close();
    // Where nothing can be asked nothing is trained either.
    expect(device.trainer.trainings).toBe(1);
  }
  expect(fake.puts).toEqual([]);
});

test("[KU8] an upload is not tried again once the store says that nothing may be sent any more", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  fake.answerPut = () => ({ status: 0, hangUp: true });
  let asked = 0;
  const checkAllowed = async () => {
    asked += 1;
    if (asked === 1) throw new Error("the disk is gone");
    throw new FederatedError("ABORTED", "consent was withdrawn in another tab");
  };
  const pendingUpdates = { ...device.options.pendingUpdates!, checkAllowed };
  await using client = createClient({ ...device.options, pendingUpdates });
  const participant = client.join(TASK, { trainer: device.trainer });
  const errors: string[] = [];
  participant.on("error", ({ code }) => errors.push(code));
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await fake.until("decline");
  // A fault says nothing about what the person wants.
  expect(fake.puts).toHaveLength(2);
  expect(errors).toEqual(["INTERNAL", "ABORTED"]);
  await expect.poll(device.kept).toBeUndefined();
});

test("[KU11] an upload that the client's other tab took over is neither declined nor forgotten", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  const message = "a newer upload of the same participant took over";
  fake.answerPut = () => ({ status: 499, body: { code: "ABORTED", message } });
  await using client = createClient(device.options);
  const participant = client.join(TASK, { trainer: device.trainer });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await state(participant, "awaitingClose");
  expect(await device.kept()).toMatchObject({ roundId: "fake.1" });
  expect(fake.log).not.toContain("decline");
});

test("[KU11] a tab that leaves while another one trains leaves that one's update where it is", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  let against: readonly PauseReason[] = ["otherTab"];
  let changed = (): void => undefined;
  const conditions = {
    get against() {
      return against;
    },
    subscribe: (listener: () => void) => {
      changed = listener;
      return () => undefined;
    },
  };
  await using client = createClient(device.options);
  await client.join(TASK, { trainer: device.trainer, conditions }).leave();
  expect(await device.kept()).toMatchObject({ roundId: "fake.1" });
  const participant = client.join(TASK, { trainer: device.trainer, conditions });
  against = ["hidden"];
  changed();
  await participant.leave();
  expect(await device.kept()).toBeUndefined();
});

test("[KU9] what was kept under a plan that this client no longer follows is deleted and not sent", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  const sent = fake.puts.length;
  const privacy = { ledger: createMemoryLedger(), maxEpsilon: 1 };
  await using client = createClient({ ...device.options, privacy });
  const ended = await client.join(TASK, { trainer: device.trainer }).done;
  expect(ended.reason === "failed" && isFederatedError(ended.error) && ended.error.code).toBe(
    "CONFIG_INVALID",
  );
  expect(fake.puts).toHaveLength(sent);
  expect(await device.kept()).toBeUndefined();
});

test("[KU9] an app that declines after a restart gives up what was kept", async () => {
  await using fake = await startFakeCoordinator();
  const device = createDevice(fake);
  await device.dieWhileSending(fake.assignment(1));
  const sent = fake.puts.length;
  await using client = createClient(device.options);
  client.join(TASK, { trainer: device.trainer, accept: () => false });
  await fake.until("decline");
  await expect.poll(device.kept).toBeUndefined();
  expect(fake.puts).toHaveLength(sent);
});
