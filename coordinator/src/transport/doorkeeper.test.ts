import { EventEmitter } from "node:events";

import type { ClientId } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Limit } from "../limits/limit.ts";
import { limitOf } from "../limits/limit.ts";
import { createRates } from "../limits/rates.ts";
import type { DoorkeeperOptions, Visitor } from "./doorkeeper.ts";
import { createDoorkeeper } from "./doorkeeper.ts";

interface FakeVisitor extends Visitor {
  close(): void;
}

function startDoor(options: Partial<DoorkeeperOptions> = {}) {
  const refused: Limit[] = [];
  const alarms = new Set<() => void>();
  const clock = {
    now: () => 0,
    monotonicMs: () => 0,
    after: (delayMs: number, run: () => void) => {
      const alarm = () => {
        alarms.delete(alarm);
        run();
      };
      if (delayMs === 10_000) alarms.add(alarm);
      return { cancel: () => void alarms.delete(alarm) };
    },
  };
  const door = createDoorkeeper(
    {
      clock,
      rates: createRates(
        { clock },
        {
          requestsPerSecondPerAddress: 1000,
          failedAuthenticationsPerSecondPerAddress: 1,
          messagesPerSecond: 1,
          checkInsPerSecond: 1,
          checkInsPerSecondPerClient: 1,
        },
      ),
      peerAddress: ({ headers }) => String(headers["x-peer"]),
      countRefusal: (limit) => void refused.push(limit),
    },
    {
      ...{ maxClients: 100, connectionsPerAddress: 100, connectionsPerClient: 100 },
      handshakeTimeoutMs: 10_000,
      ...options,
    },
  );
  const request = (peer: string) => ({ headers: { "x-peer": peer }, socket: {} });
  const visit = (peer = "a"): FakeVisitor => {
    door.letUpgrade(request(peer));
    const events = new EventEmitter();
    const close = () => void events.emit("close");
    const visitor = {
      request: { ...request(peer), socket: { destroy: close } },
      on: (event: "close", listener: () => void) => events.on(event, listener),
      close,
    };
    door.opened(visitor);
    return visitor;
  };
  const admit = (visitor: Visitor, clientId = "client") =>
    door
      .admit(visitor, async () => ({ clientId: clientId as ClientId }))
      .then(
        () => "in",
        (error: unknown) =>
          limitOf(error) ?? (isFederatedError(error) ? error.code : String(error)),
      );
  const timeOut = () => alarms.forEach((alarm) => alarm());
  return { door, visit, admit, refused, alarms, timeOut };
}

test.each([
  ["maxClients", (i: number) => [`peer ${i}`, `client ${i}`]],
  ["connectionsPerAddress", (i: number) => ["peer", `client ${i}`]],
  ["connectionsPerClient", (i: number) => [`peer ${i}`, "client"]],
] as const)("[LIM4] %s bounds connections, also when they come at once", async (limit, nth) => {
  const { visit, admit, refused } = startDoor({ [limit]: 3 });
  const visitors = Array.from({ length: 10 }, (_, i) => visit(nth(i)[0]));
  const answers = await Promise.all(visitors.map((visitor, i) => admit(visitor, nth(i)[1])));
  expect(answers.filter((answer) => answer === "in")).toHaveLength(3);
  expect(answers.filter((answer) => answer === limit)).toHaveLength(7);
  expect(refused).toEqual(Array(7).fill(limit));
  // A place is free again when its connection closes, and only then.
  visitors.at(-1)?.close();
  expect(await admit(visit(nth(11)[0]), nth(11)[1])).toBe(limit);
  visitors[0]?.close();
  expect(await admit(visit(nth(12)[0]), nth(12)[1])).toBe("in");
});

test("[LIM4] connections that never say who they are are bounded before their upgrade", () => {
  const { visit } = startDoor({ connectionsPerAddress: 3 });
  const idle = Array.from({ length: 67 }, () => visit());
  expect(() => visit()).toThrow("as many as there may be");
  visit("b");
  idle[0]?.close();
  visit();
  const all = startDoor({ maxClients: 3 });
  for (let i = 0; i < 67; i++) all.visit(`peer ${i}`);
  expect(() => all.visit("another")).toThrow("as many as there may be");
});

test("[LIM4] one connection has one handshake", async () => {
  const { visit, admit } = startDoor();
  const visitor = visit();
  expect(await admit(visitor)).toBe("in");
  expect(await admit(visitor)).toBe("MALFORMED_MESSAGE");
});

test("[LIM5] wrong credentials cost their address its budget, and their place is free again", async () => {
  const { door, visit, admit, refused } = startDoor({ maxClients: 1 });
  const wrong = async () => {
    throw new FederatedError("UNAUTHENTICATED", "no");
  };
  for (let i = 0; i < 10; i++) {
    await expect(door.admit(visit(), wrong)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  }
  let asked = false;
  const guess = door.admit(visit(), async () => {
    asked = true;
    return { clientId: "right" as ClientId };
  });
  await expect(guess).rejects.toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 1000 });
  expect(asked).toBe(false);
  expect(refused).toEqual(["failedAuthenticationsPerSecondPerAddress"]);
  expect(await admit(visit("b"))).toBe("in");
});

test("[LIM7] who is not admitted in time is cut, who is stays, and no timer outlives its connection", async () => {
  const { visit, admit, refused, alarms, timeOut } = startDoor();
  const closed: string[] = [];
  const named = (name: string) => {
    const visitor = visit();
    visitor.on("close", () => void closed.push(name));
    return visitor;
  };
  const [honest] = [named("honest"), named("silent"), named("silent too")];
  await admit(honest);
  named("gone by itself").close();
  expect(alarms.size).toBe(2);
  timeOut();
  expect(closed).toEqual(["gone by itself", "silent", "silent too"]);
  expect(refused).toEqual(Array(2).fill("handshakeTimeoutMs"));
  expect(alarms.size).toBe(0);
});
