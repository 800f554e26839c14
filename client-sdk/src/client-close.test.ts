import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { FakeCoordinator } from "../../test/support/fake-coordinator.ts";
import { startFakeCoordinator, TASK } from "../../test/support/fake-coordinator.ts";
import type { Client, ClientOptions } from "./client.ts";
import { createClient } from "./client.ts";
import { createDeferred } from "./deferred.ts";
import type { Participant } from "./participant.ts";
import type { Trainer } from "./trainer.ts";

const connect = (fake: FakeCoordinator, options: Partial<ClientOptions> = {}): Client =>
  createClient({
    url: fake.url,
    backoff: { baseMs: 5, maxMs: 20 },
    ackTimeoutMs: 1_000,
    ...options,
  });

const idle: Trainer = { train: () => Promise.reject(new Error("nobody asks this one")) };

const state = (participant: Participant, wanted: string) =>
  expect.poll(() => participant.state, { timeout: 5_000 }).toBe(wanted);

/** The fewest that there are for a while: the test runner has short timers of its own, which would hide ours. */
async function resourcesAtRest(): Promise<readonly string[]> {
  let fewest = process.getActiveResourcesInfo();
  for (let sample = 0; sample < 20; sample++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const now = process.getActiveResourcesInfo();
    if (now.length < fewest.length) fewest = now;
  }
  return fewest;
}

/** What keeps the process alive now and did not before. */
function resourcesSince(before: readonly string[]): string[] {
  const left = [...before];
  return process.getActiveResourcesInfo().filter((resource) => {
    const known = left.indexOf(resource);
    if (known >= 0) left.splice(known, 1);
    return known < 0;
  });
}

/** Not with `expect.poll`, whose own timer would be counted, or would hide one of ours. */
async function expectNothingLeft(before: readonly string[]): Promise<void> {
  const deadline = performance.now() + 3_000;
  while (resourcesSince(before).length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(resourcesSince(before)).toEqual([]);
}

test("[SDK59] close() waits for work to stop and leaves no timer, socket or listener", async () => {
  const before = await resourcesAtRest();
  const fake = await startFakeCoordinator();
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  const client = connect(fake);
  let stopped = false;
  const begun = createDeferred<undefined>();
  const participant = client.join(TASK, {
    signal,
    trainer: {
      train: async ({ signal: within }) => {
        begun.resolve(undefined);
        await new Promise((resolve) => within.addEventListener("abort", resolve));
        await new Promise((resolve) => setTimeout(resolve, 50));
        stopped = true;
        throw new Error("stopped");
      },
    },
  });
  await state(participant, "waiting");
  fake.emit("round:assigned", fake.assignment(1));
  await begun.promise;
  await client.close();
  expect(stopped).toBe(true);
  expect(participant.state).toBe("ended");
  await expect(participant.done).resolves.toEqual({ reason: "closed" });
  expect(listeners).toBe(0);
  await fake.until("disconnect");
  await fake.stop();
  await expectNothingLeft(before);
  expect(() => client.join(TASK, { trainer: idle })).toThrow(/closed/);
  await client.close();
});

test("[SDK59] a client that never reached its coordinator can be closed", async () => {
  const fake = await startFakeCoordinator();
  await fake.stop();
  const before = await resourcesAtRest();
  const client = connect(fake);
  const participant = client.join(TASK, { trainer: idle });
  await new Promise((resolve) => setTimeout(resolve, 30));
  await client.close();
  await expect(participant.done).resolves.toEqual({ reason: "closed" });
  await expectNothingLeft(before);
});

test("[SDK59] a client that was told to come back in an hour can be closed now", async () => {
  const before = await resourcesAtRest();
  const fake = await startFakeCoordinator();
  fake.refuseHandshake = new FederatedError("RATE_LIMITED", "full", { retryAfterMs: 3.6e6 });
  const client = connect(fake);
  const participant = client.join(TASK, { trainer: idle });
  await new Promise((resolve) => participant.on("error", resolve));
  await client.close();
  await expect(participant.done).resolves.toEqual({ reason: "closed" });
  await fake.stop();
  await expectNothingLeft(before);
});

test("[SDK60] a listener may leave while it is told of something", async () => {
  const before = await resourcesAtRest();
  const fake = await startFakeCoordinator();
  // The pause after the fault would be an hour, if leaving did not end it.
  const client = connect(fake, { backoff: { baseMs: 3.6e6, maxMs: 3.6e6, random: () => 0.99 } });
  const participant = client.join(TASK, {
    trainer: { train: () => Promise.reject(new Error("fault")) },
  });
  participant.on("error", () => void participant.leave());
  await state(participant, "waiting");
  const states: string[] = [];
  participant.on("state", (now) => states.push(now));
  fake.emit("round:assigned", fake.assignment(1));
  await expect(participant.done).resolves.toEqual({ reason: "left" });
  expect(states).toEqual(["training", "backingOff", "ended"]);
  await client.close();
  await fake.stop();
  await expectNothingLeft(before);
});

test("[SV2] a served model that was closed leaves nothing, whether it was ever ready or not", async () => {
  for (const reachable of [true, false]) {
    const before = await resourcesAtRest();
    const fake = await startFakeCoordinator();
    if (!reachable) await fake.stop();
    const client = connect(fake);
    const model = client.model(TASK, {
      predictor: {
        load: async () => ({ predict: async (input: number) => input, dispose: () => undefined }),
      },
    });
    if (reachable) await model.ready;
    await client.close();
    await fake.stop();
    await expectNothingLeft(before);
  }
});
