import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import type { ClientOptions } from "./client.ts";
import { createClient } from "./client.ts";
import type { PauseReason, TrainingConditions } from "./conditions.ts";
import { createDeferred } from "./deferred.ts";
import type { Participant } from "./participant.ts";
import type { Trainer } from "./trainer.ts";

const connect = (url: string, options: Partial<ClientOptions> = {}) =>
  createClient({ url, backoff: { baseMs: 5, maxMs: 20 }, ackTimeoutMs: 1_000, ...options });

const trainer: Trainer = {
  train: async ({ weights }) => ({ weights, numExamples: 1, metrics: {} }),
};

const state = (participant: Participant, wanted: string) =>
  expect.poll(() => participant.state, { timeout: 5_000 }).toBe(wanted);

interface Switches extends TrainingConditions {
  set(...against: PauseReason[]): void;
  readonly listeners: number;
}

function switches(...first: PauseReason[]): Switches {
  let against: readonly PauseReason[] = first;
  const listeners = new Set<() => void>();
  return {
    get against() {
      return against;
    },
    get listeners() {
      return listeners.size;
    },
    set: (...now) => {
      against = now;
      for (const listener of [...listeners]) listener();
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

test("[KU1] what stands against training pauses a client, each change is told, and the app's own pause adds to it", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake.url);
  const conditions = switches();
  const participant = client.join(TASK, { trainer, conditions });
  const told: (readonly PauseReason[])[] = [];
  participant.on("paused", (reasons) => told.push(reasons));
  expect(participant.pausedBy).toEqual([]);
  await state(participant, "waiting");

  conditions.set("hidden");
  expect(participant.state).toBe("paused");
  await fake.until("leave");
  // Told of again without a change: nothing happens.
  conditions.set("hidden");
  participant.pause();
  expect(participant.pausedBy).toEqual(["user", "hidden"]);
  conditions.set();
  expect(participant.state).toBe("paused");
  participant.resume();
  await state(participant, "waiting");
  expect(told).toEqual([["hidden"], ["user", "hidden"], ["user"], []]);
  expect(fake.count("leave")).toBe(1);

  expect(conditions.listeners).toBe(1);
  await participant.leave();
  expect(conditions.listeners).toBe(0);
});

test("[KU2] a client that may not train yet says nothing to the coordinator, and joins when it may", async () => {
  await using fake = await startFakeCoordinator();
  await using client = connect(fake.url);
  const conditions = switches("consent", "metered");
  const participant = client.join(TASK, { trainer, conditions });
  expect(participant.state).toBe("paused");
  expect(participant.pausedBy).toEqual(["consent", "metered"]);
  conditions.set("consent");
  // Also by the connection of something else: there is one, and it is not used.
  const other = client.join("other", { trainer });
  await fake.until("checkin");
  await state(other, "waiting");
  expect(participant.state).toBe("paused");
  expect(fake.count("checkin")).toBe(1);
  conditions.set();
  await state(participant, "waiting");
  expect(fake.count("checkin")).toBe(2);
  await other.leave();

  await using alone = connect(fake.url);
  const waiting = switches("consent");
  const late = alone.join(TASK, { trainer, conditions: waiting });
  // Somebody who connects after it is there before anything of it is.
  await using later = connect(fake.url);
  await state(later.join(TASK, { trainer }), "waiting");
  expect(fake.count("handshake")).toBe(2);
  waiting.set();
  await state(late, "waiting");
  expect(fake.count("handshake")).toBe(3);
});

test("[KU3] an upload goes on in a hidden tab and stops on a metered network", async () => {
  for (const [reason, isSent] of [
    ["hidden", true],
    ["battery", true],
    ["otherTab", true],
    ["metered", false],
    ["saveData", false],
    ["consent", false],
  ] as const) {
    await using fake = await startFakeCoordinator();
    await using client = connect(fake.url);
    const conditions = switches();
    const participant = client.join(TASK, { trainer, conditions });
    const reported: unknown[] = [];
    participant.on("reported", (receipt) => reported.push(receipt));
    const gate = createDeferred<undefined>();
    const answer = fake.answerPut;
    fake.answerPut = async (put, attempt) => {
      await gate.promise;
      return answer(put, attempt);
    };
    await state(participant, "waiting");
    fake.emit("round:assigned", fake.assignment(1));
    await fake.until("PUT");
    conditions.set(reason);
    expect(participant.state).toBe(isSent ? "reporting" : "paused");
    gate.resolve(undefined);
    await state(participant, "paused");
    await fake.until("leave");
    expect(reported).toHaveLength(isSent ? 1 : 0);
    // An assignment that comes all the same is given back.
    fake.emit("round:assigned", fake.assignment(2));
    await fake.until("decline");
    expect(fake.puts).toHaveLength(1);
  }
});

test("[KU10] a client that is woken connects at once instead of after its back-off", async () => {
  await using fake = await startFakeCoordinator();
  const hour = { baseMs: 3_600_000, maxMs: 3_600_000, random: () => 1 };
  await using client = connect(fake.url, { backoff: hour });
  const participant = client.join(TASK, { trainer });
  await state(participant, "waiting");
  // What is connected stays as it is.
  client.wake();
  expect(participant.state).toBe("waiting");
  fake.dismiss();
  await state(participant, "idle");
  // Of many calls the first is one: else each would end the try before it, and none would get through.
  const deadline = performance.now() + 5_000;
  while (participant.state === "idle" && performance.now() < deadline) {
    client.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await state(participant, "waiting");
  expect(performance.now()).toBeLessThan(deadline);
  expect(fake.count("handshake")).toBe(2);
});

test("[KU10] a client that is woken keeps the pause that the coordinator asked for", async () => {
  await using fake = await startFakeCoordinator();
  fake.refuseHandshake = new FederatedError("RATE_LIMITED", "full", { retryAfterMs: 300 });
  await using client = connect(fake.url);
  const participant = client.join(TASK, { trainer });
  const begun = performance.now();
  await new Promise((resolve) => participant.on("error", resolve));
  fake.refuseHandshake = undefined;
  for (let calls = 0; calls < 10; calls++) {
    client.wake();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(fake.count("handshake")).toBe(1);
  await state(participant, "waiting");
  expect(performance.now() - begun).toBeGreaterThan(290);
});
