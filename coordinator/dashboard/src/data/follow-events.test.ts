import type { MonitoringEvent } from "@tributary/protocol";
import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { Follower } from "./follow-events.ts";
import { followEvents } from "./follow-events.ts";

type Answer = () => Response;

/** A body of these texts that then ends, breaks off, or stays open. */
function respond(texts: readonly string[], then: "end" | "break" | "stay" = "end"): Response {
  const bytes = texts.map((text) => new TextEncoder().encode(text));
  return new Response(
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const next = bytes.shift();
        if (next !== undefined) controller.enqueue(next);
        else if (then === "end") controller.close();
        else if (then === "break") controller.error(new TypeError("network error"));
        else return new Promise(() => {});
        return undefined;
      },
    }),
  );
}

/** Follows these answers, one for each connection; timers run only when told to. */
function follow(answers: readonly Answer[]) {
  const asked: (string | undefined)[] = [];
  const told: string[] = [];
  const events: MonitoringEvent[] = [];
  const timers: { ms: number; run: () => void }[] = [];
  let onEnd = () => {};
  const ended = new Promise<void>((resolve) => (onEnd = resolve));
  const follower: Follower = followEvents(
    {
      open: async (headers) => {
        const answer = answers[asked.length];
        asked.push(headers["last-event-id"]);
        if (answer === undefined) throw new FederatedError("FORBIDDEN", "no more");
        return answer();
      },
      after: (ms, run) => {
        const timer = { ms, run };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), 1);
      },
      random: () => 0.5,
    },
    {
      connecting: () => void told.push("connecting"),
      opened: (resumed) => void told.push(resumed ? "resumed" : "opened"),
      received: (got) => void events.push(...got),
      reset: () => void told.push("reset"),
      lost: (fault, ms) => {
        told.push(`lost ${fault.code} ${ms}`);
        queueMicrotask(() => follower.retryNow());
      },
      refused: (fault) => {
        told.push(`refused ${fault.code}`);
        onEnd();
      },
    },
  );
  return { asked, told, events, timers, follower, ended };
}

const event = (id: number) =>
  `id: ${id}\nevent: task:created\ndata: ${JSON.stringify({ id: `${id}` })}\n\n`;

test("[DB1] a stream that breaks is resumed after the last id, heartbeats included, ever more slowly", async () => {
  const { asked, told, events, ended } = follow([
    () => respond([event(7), ": alive\nid: 9\n\n"], "break"),
    () => {
      throw new FederatedError("UNAVAILABLE", "down");
    },
    () => {
      throw new FederatedError("RATE_LIMITED", "too many", { retryAfterMs: 10_000 });
    },
    () => respond([event(10).slice(0, 9), event(10).slice(9)]),
  ]);
  await ended;
  expect(asked).toEqual([undefined, "9", "9", "9", "10"]);
  expect(events.map(({ id }) => id)).toEqual(["7", "10"]);
  expect(told.filter((word) => word !== "connecting")).toEqual([
    "opened",
    "lost UNAVAILABLE 375",
    "lost UNAVAILABLE 750",
    "lost RATE_LIMITED 10000",
    "resumed",
    "lost UNAVAILABLE 375",
    "refused FORBIDDEN",
  ]);
});

test("[DB1] events before and after a reset are told in their order", async () => {
  const { told, events, ended } = follow([
    () => respond([`event: reset\ndata: {}\n\n${event(3)}`]),
  ]);
  await ended;
  expect(told.slice(0, 3)).toEqual(["connecting", "opened", "reset"]);
  expect(events.map(({ id }) => id)).toEqual(["3"]);
});

test("[DB1] a connection on which nothing comes for a minute is given up", async () => {
  const { told, timers, ended } = follow([() => respond([event(1)], "stay")]);
  await expect.poll(() => timers.map(({ ms }) => ms)).toEqual([60_000]);
  timers[0]?.run();
  await ended;
  expect(told).toContain("lost UNAVAILABLE 375");
});

test("[DB1] nothing is told after stop", async () => {
  const { told, follower, timers } = follow([() => respond([event(1)], "stay")]);
  await expect.poll(() => told).toEqual(["connecting", "opened"]);
  follower.stop();
  await expect.poll(() => timers).toEqual([]);
  expect(told).toEqual(["connecting", "opened"]);
});

test("[DB15] a stream at rest holds no connection, says nothing, and is resumed after its last id", async () => {
  const { asked, told, timers, follower } = follow([
    () => respond([event(4)], "stay"),
    () => respond([event(5)], "stay"),
  ]);
  await expect.poll(() => told).toEqual(["connecting", "opened"]);
  follower.rest();
  await expect.poll(() => timers).toEqual([]);
  expect(asked).toHaveLength(1);
  follower.retryNow();
  await expect.poll(() => told).toEqual(["connecting", "opened", "connecting", "resumed"]);
  expect(asked).toEqual([undefined, "4"]);
  follower.stop();
});

test("[DB15] a rest that begins with a fault makes no further attempt and tells none", async () => {
  const { asked, told, follower } = follow([
    () => respond([event(1)], "break"),
    () => {
      follower.rest();
      throw new FederatedError("UNAVAILABLE", "down");
    },
    () => respond([event(2)], "stay"),
  ]);
  const before = ["connecting", "opened", "lost UNAVAILABLE 375", "connecting"];
  await expect.poll(() => asked).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve));
  expect(told).toEqual(before);
  follower.retryNow();
  await expect.poll(() => told).toEqual([...before, "connecting", "resumed"]);
  follower.stop();
});
