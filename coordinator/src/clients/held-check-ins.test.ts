import type { ClientId, TaskId } from "@tributary/protocol";
import { FederatedError, PROTOCOL_VERSION } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RoundEngine } from "../round/engine.ts";
import type { FrontDesk } from "./desk.ts";
import type { HeldCheckInsDeps } from "./held-check-ins.ts";
import { createHeldCheckIns } from "./held-check-ins.ts";

const TASK = "task" as TaskId;
const idOf = (i: number) => i.toString(16).padStart(8, "0").repeat(4) as ClientId;

/** What the last of some clients is told, by the same coins. */
async function toldAfter(others: number, spec: object, refused = false): Promise<number> {
  let refusal: Error | undefined;
  const engine = {
    pace: () => ({ task: { spec, state: "running" }, restMs: 0, selectingMs: 0 }),
    endWait: async () => undefined,
  } as unknown as RoundEngine;
  const desk = {
    connected: () => undefined,
    disconnected: () => undefined,
    assertMayCheckIn: () => {
      if (refusal !== undefined) throw refusal;
    },
    enter: async () => ({ task: {} }),
  } as unknown as FrontDesk;
  const clock = {
    now: () => 0,
    monotonicMs: () => 0,
    after: (_delayMs: number, run: () => void) => {
      queueMicrotask(run);
      return { cancel: () => undefined };
    },
  };
  const deps = {
    ...{ clock, desk, engineOf: () => engine, uniform: { next: () => 0.5 } },
    sockets: { gateway: {}, hasOffered: () => false },
  } as unknown as HeldCheckInsDeps;
  const options = {
    heldCheckIns: 100,
    checkInsPerSecond: 10,
    checkInHoldMs: 1000,
    connectionsPerAddress: 5000,
  };
  const { desk: http } = createHeldCheckIns(deps, options);
  const ask = (clientId: ClientId) =>
    http.checkIn(
      { clientId, address: clientId },
      TASK,
      { protocolVersion: PROTOCOL_VERSION },
      new AbortController().signal,
    );
  if (refused) refusal = new FederatedError("RATE_LIMITED", "too many of this client");
  for (let i = 0; i < others; i++) {
    const other = ask(idOf((0x9e3779b1 * (i + 1)) >>> 0));
    if (refused) await expect(other).rejects.toBe(refusal);
    else await other;
  }
  refusal = undefined;
  return (await ask(idOf(1))).answer.comeBackInMs;
}

const schedule = { minClients: 2 };

test("[MC25] under central privacy what a client is told does not depend on who else has come", async () => {
  const sampler = { kind: "poisson", samplingRate: 0.1, population: 1000 };
  const spec = { sampler, schedule, privacy: { mechanism: "central" } };
  expect(await toldAfter(1000, spec)).toBe(await toldAfter(0, spec));
});

test("[MC26] check-ins that are refused are not counted, and those that are not are", async () => {
  const spec = { sampler: { kind: "all" }, schedule, privacy: { mechanism: "none" } };
  const alone = await toldAfter(0, spec);
  expect(await toldAfter(1000, spec, true)).toBe(alone);
  expect(await toldAfter(1000, spec)).toBeGreaterThan(10 * alone);
});

test("[EN9] a check-in over which the engine fails ends its wait, and one that is refused too", async () => {
  const ended: ClientId[] = [];
  const engine = {
    pace: () => ({ task: { spec: {}, state: "ended" }, restMs: 0, selectingMs: 0 }),
    endWait: (clientId: ClientId) => {
      ended.push(clientId);
      return Promise.reject(new FederatedError("UNAVAILABLE", "it loads again"));
    },
  };
  const failure = new FederatedError("UNAVAILABLE", "the disk is full");
  const desk = {
    connected: () => undefined,
    disconnected: () => undefined,
    assertMayCheckIn: () => undefined,
    enter: () => Promise.reject(failure),
  };
  const deps = {
    ...{ clock: { now: () => 0 }, desk, engineOf: () => engine, uniform: { next: () => 0.5 } },
    sockets: { gateway: {}, hasOffered: () => false },
  } as unknown as HeldCheckInsDeps;
  const { desk: http } = createHeldCheckIns(deps, {
    ...{ heldCheckIns: 1, checkInsPerSecond: 10, checkInHoldMs: 1000, connectionsPerAddress: 10 },
  });
  const client = { clientId: idOf(1), address: "192.0.2.1" };
  const query = { protocolVersion: PROTOCOL_VERSION };
  for (const times of [1, 2]) {
    const asked = http.checkIn(client, TASK, query, new AbortController().signal);
    await expect(asked).rejects.toBe(failure);
    expect(ended).toHaveLength(times);
  }
});
