import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import type { PendingUpdate, PendingUpdateStore } from "@tributary/client-sdk";
import {
  createClient,
  createClientKey,
  createMemoryCache,
  createMemoryFeedback,
  createMemoryPendingUpdates,
} from "@tributary/client-sdk";
import type { OneShotOptions } from "@tributary/client-sdk/one-shot";
import { participateOnce } from "@tributary/client-sdk/one-shot";
import type { Checksum, Digest, TaskId } from "@tributary/protocol";
import { roundIdOf } from "@tributary/protocol";
import { expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";
import { countingTrainer } from "../support/trainers.ts";

const TASK = "small" as TaskId;
const backoff = { baseMs: 20, maxMs: 200 };

const shot = (url: string, options: Partial<OneShotOptions> = {}) =>
  participateOnce({
    ...{ url, taskId: TASK, backoff },
    trainer: countingTrainer({ step: 0.5 }),
    clientKey: createClientKey(),
    ...options,
  });

test("[MC30] rounds of clients with sockets and of runs without one, and the model moves as they all do", async () => {
  await using running = await startCoordinator();
  const rounds = 3;
  await running.coordinator.tasks.create(
    smallTask({ stop: { maxRounds: rounds }, schedule: { minClients: 3, minReports: 3 } }),
  );
  const { url } = running;
  const client = createClient({ url, backoff });
  const connected = client.join(TASK, { trainer: countingTrainer({ step: 0.5 }) });
  // Two devices that run whenever they may, as the coordinator's pace would be too slow for a test.
  const device = async () => {
    const own = { clientKey: createClientKey(), cache: createMemoryCache() };
    let reported = 0;
    while (reported < rounds) {
      const result = await shot(url, own);
      expect(result.comeBackInMs).toBeGreaterThan(0);
      if (result.outcome === "reported") reported += 1;
    }
  };
  await Promise.all([device(), device()]);
  expect(await connected.done).toMatchObject({ reason: "taskEnded" });
  await client.close();
  const { participants } = await running.roundEnded(rounds);
  expect(participants).toMatchObject({ selected: 3, reported: 3 });
  await expect(shot(url)).rejects.toMatchObject({ code: "TASK_ENDED" });
});

test("[MC31] without a place a run ends with when to come back; too many are told so, too", async () => {
  await using running = await startCoordinator({ config: { limits: { checkInsPerSecond: 1 } } });
  await running.coordinator.tasks.create(smallTask());
  const results = await Promise.all(
    Array.from({ length: 12 }, () => shot(running.url, { waitMs: 0 })),
  );
  // The burst is ten.
  const outcomes = results.map(({ outcome }) => outcome);
  expect(outcomes.filter((outcome) => outcome === "noPlace").length).toBeGreaterThanOrEqual(2);
  for (const { comeBackInMs } of results) expect(comeBackInMs).toBeGreaterThan(0);
});

test.each([
  ["years", "99999999999", 2 ** 31 - 1],
  ["until the next century", "Wed, 21 Oct 2199 07:28:00 GMT", 2 ** 31 - 1],
  ["not at all", "0", 1000],
  ["for a time that is over", "Wed, 21 Oct 2015 07:28:00 GMT", 1000],
  ["half a minute", "30", 30_000],
])(
  "[MC31] where something in between says to wait %s, a timer can, and nobody comes at once",
  async (_, retryAfter, expected) => {
    const headers = { "retry-after": retryAfter };
    const fetch = async () => new Response("busy", { status: 429, headers });
    const result = await shot("http://127.0.0.1:1", { fetch });
    expect(result).toEqual({ outcome: "noPlace", comeBackInMs: expected });
  },
);

test.each([
  ["the app does not want the place", { accept: () => false }],
  [
    "training fails",
    {
      trainer: {
        train: async () => {
          throw new Error("no data today");
        },
      },
    },
  ],
])("[MC31] where %s it is given back, and the round does not wait", async (_, options) => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask({ schedule: { minReports: 1 } }));
  const [unwilling, willing] = await Promise.allSettled([
    shot(running.url, options),
    shot(running.url),
  ]);
  if (unwilling.status === "fulfilled") expect(unwilling.value.outcome).toBe("declined");
  else expect((unwilling.reason as Error).message).toBe("no data today");
  expect(willing).toMatchObject({ value: { outcome: "reported" } });
  const round = await running.roundEnded(1);
  expect(round).toMatchObject({ phase: "committed", participants: { declined: 1, reported: 1 } });
});

test("[MC31] a coordinator that never hears that a place is given back holds no run up", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask({ schedule: { minReports: 1 } }));
  const declines: string[] = [];
  const deaf: typeof fetch = (input, init) => {
    const path = new URL(input as string).pathname;
    if (!path.endsWith("/decline")) return fetch(input, init);
    declines.push(path);
    return new Promise((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(new Error("given up")));
    });
  };
  const [unwilling] = await Promise.all([
    shot(running.url, { accept: () => false, fetch: deaf, requestTimeoutMs: 500 }),
    shot(running.url),
  ]);
  expect(unwilling.outcome).toBe("declined");
  expect(declines).toHaveLength(1);
});

test("[EC9] [MC31] a run that hears that its task has ended leaves nothing of it in the stores", async () => {
  await using running = await startCoordinator();
  await running.coordinator.tasks.create(smallTask());
  const { url } = running;
  const { origin } = new URL(url);
  const feedback = createMemoryFeedback();
  const pendingUpdates = createMemoryPendingUpdates();
  const other = "other" as TaskId;
  for (const taskId of [TASK, other]) {
    await feedback.put(origin, taskId, new Uint8Array(8));
    const roundId = roundIdOf(taskId, 1);
    const rest = { madeFor: "b".repeat(64) as Digest, checksum: "c".repeat(32) as Checksum };
    await pendingUpdates.put({ origin, taskId, roundId, frame: new Uint8Array(4), ...rest });
  }
  const own = { feedback, pendingUpdates };
  await shot(url, { ...own, waitMs: 0 });
  expect(await feedback.get(origin, TASK)).toBeDefined();
  await running.coordinator.tasks.cancel(TASK);
  await expect(shot(url, own)).rejects.toMatchObject({ code: "TASK_ENDED" });
  expect(await feedback.get(origin, TASK)).toBeUndefined();
  expect(await pendingUpdates.get(origin, TASK)).toBeUndefined();
  expect(await feedback.get(origin, other)).toBeDefined();
  expect(await pendingUpdates.get(origin, other)).toBeDefined();
});

test("[MC32] what one run has made the next one sends as it is, without training again", async () => {
  await using running = await startCoordinator();
  const { url } = running;
  await running.coordinator.tasks.create(smallTask({ schedule: { reportWindowMs: 60_000 } }));
  const memory = createMemoryPendingUpdates();
  const cutOff = new AbortController();
  // The run ends just after its update is kept, as a function that is stopped does.
  const pendingUpdates: PendingUpdateStore = {
    ...memory,
    put: async (update: PendingUpdate) => {
      await memory.put(update);
      cutOff.abort();
    },
  };
  const trainer = countingTrainer();
  const own = { clientKey: createClientKey(), trainer, pendingUpdates };
  // A stopped function says nothing any more.
  const dying: typeof fetch = (input, init) =>
    cutOff.signal.aborted ? Promise.reject(new Error("gone")) : fetch(input, init);
  await using other = await connectRaw(url);
  const first = shot(url, { ...own, signal: cutOff.signal, fetch: dying });
  await other.checkIn(TASK);
  await expect(first).rejects.toMatchObject({ code: "ABORTED" });
  const second = await shot(url, own);
  expect(second).toMatchObject({ outcome: "reported", receipt: { status: "accepted" } });
  expect(trainer.begun).toBe(1);
  // Counted already: there is nothing left to do.
  expect(await shot(url, own)).toMatchObject({ outcome: "noPlace" });
});

test("[MC33] a token that has run out is asked for anew, and a wrong one is refused", async () => {
  const clientToken = "a-token-for-the-clients-of-this-test";
  await using running = await startCoordinator({ config: { auth: { clientToken } } });
  await running.coordinator.tasks.create(smallTask());
  const tokens = ["an-old-token", clientToken];
  const token = () => (tokens.length > 1 ? tokens.shift()! : tokens[0]!);
  expect(await shot(running.url, { token, waitMs: 0 })).toMatchObject({ outcome: "noPlace" });
  await expect(shot(running.url, { token: "wrong" })).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
});

test.each([
  [{ url: "ftp://x" }, "CONFIG_INVALID"],
  [{ clientKey: "short" }, "CONFIG_INVALID"],
  [{ waitMs: -1 }, "CONFIG_INVALID"],
  [{ waitMs: 60_001 }, "CONFIG_INVALID"],
  [{ taskId: "../x" }, "MALFORMED_MESSAGE"],
  [{ url: "http://127.0.0.1:1" }, "UNAVAILABLE"],
])("[MC33] %o is told at once", async (options, code) => {
  await expect(shot("http://127.0.0.1:1", options)).rejects.toMatchObject({ code });
});

test("[MC34] the entry loads no socket and nothing of Node: it runs in a service worker", () => {
  const source = fileURLToPath(new URL("../../client-sdk/src/", import.meta.url));
  const seen = new Set<string>();
  const foreign = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const code = readFileSync(file, "utf8").replace(/import type[^;]+;|export type[^;]+;/g, "");
    for (const [, path = ""] of code.matchAll(/^(?:import|export)[^;]*? from "([^"]+)"/gm)) {
      if (path.startsWith(".")) visit(join(dirname(file), path));
      else foreign.add(path);
    }
  };
  visit(join(source, "one-shot/index.ts"));
  expect(existsSync(join(source, "session.ts"))).toBe(true);
  expect(seen.has(join(source, "run-assignment.ts"))).toBe(true);
  expect(seen.has(join(source, "session.ts"))).toBe(false);
  expect([...foreign]).toEqual(["@tributary/protocol"]);
});
