import { FederatedError } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { StreamSignal } from "./event-stream.ts";
import { followEvents } from "./event-stream.ts";

/** A response whose body is these chunks, and then ends or fails. */
function respond(chunks: readonly string[], failure?: Error): Response {
  const bytes = chunks.map((chunk) => new TextEncoder().encode(chunk));
  return new Response(
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const next = bytes.shift();
        if (next !== undefined) controller.enqueue(next);
        else if (failure !== undefined) controller.error(failure);
        else controller.close();
      },
    }),
  );
}

/** Follows these answers, one for each connection, until there is none left. */
async function follow(answers: readonly (() => Response)[]) {
  const asked: (string | undefined)[] = [];
  const slept: number[] = [];
  const signals: StreamSignal[] = [];
  const stream = followEvents({
    open: async (headers) => {
      const answer = answers[asked.length];
      asked.push(headers["last-event-id"]);
      if (answer === undefined) throw new FederatedError("FORBIDDEN", "no more");
      return answer();
    },
    sleep: async (ms) => void slept.push(ms),
    random: () => 0.5,
  });
  const ending = (async () => {
    for await (const signal of stream) signals.push(signal);
  })();
  await expect(ending).rejects.toMatchObject({ code: "FORBIDDEN" });
  const events = signals.flatMap((signal) => (signal.kind === "event" ? [signal.event] : []));
  return { asked, slept, signals, events };
}

test("[CLI3] a stream that breaks is resumed after the last event, heartbeats included", async () => {
  const { asked, signals, slept } = await follow([
    () => respond(["id: 7\nevent: a\ndata: 1\n\n", ": alive\nid: 9\n\n"], new Error("reset")),
    () => {
      throw new FederatedError("UNAVAILABLE", "still down");
    },
    () => respond(["id: 10\nevent: b\ndata: 2\n\n"]),
  ]);
  expect(asked).toEqual([undefined, "9", "9", "10"]);
  expect(signals.map(({ kind }) => kind)).toEqual([
    "open",
    "event",
    "lost",
    "lost",
    "open",
    "event",
    "lost",
  ]);
  expect(signals[4]).toEqual({ kind: "open", resumed: true });
  // 3/4 of 500 ms, doubled after a failure, and from the start again after a success.
  expect(slept).toEqual([375, 750, 375]);
});

test("[CLI3] a first connection that fails is the user's to know at once", async () => {
  const { slept } = await follow([]);
  expect(slept).toEqual([]);
});

test("[CLI4] events are read however they are cut into chunks", async () => {
  const text =
    "retry: 2000\n\n:x\nid: 1\r\nevent: round\r\ndata: é\r\ndata:two\r\n\r\ndata: plain\n\nevent: lost\ndata: no end";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const { events } = await follow([
      () => {
        const chunks: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
        return new Response(
          new ReadableStream<Uint8Array>({
            pull: (controller) => {
              const next = chunks.shift();
              if (next === undefined) controller.close();
              else controller.enqueue(next);
            },
          }),
        );
      },
    ]);
    expect(events).toEqual([
      { type: "round", data: "é\ntwo" },
      { type: "message", data: "plain" },
    ]);
  }
});

test("[AT3] an event or a line without an end does not fill the memory", async () => {
  const piece = "x".repeat(65_536);
  for (const chunk of [piece, `data: ${piece}\n`]) {
    let sent = 0;
    const endless = () =>
      new Response(
        new ReadableStream<Uint8Array>({
          pull: (controller) => {
            sent += chunk.length;
            controller.enqueue(new TextEncoder().encode(chunk));
          },
        }),
      );
    const stream = followEvents({
      open: async () => endless(),
      sleep: async () => {},
      random: () => 0,
    });
    const following = (async () => {
      for await (const signal of stream) if (signal.kind === "event") return;
    })();
    await expect(following).rejects.toMatchObject({ code: "MALFORMED_MESSAGE" });
    expect(sent).toBeLessThan(2 ** 21);
  }
});
