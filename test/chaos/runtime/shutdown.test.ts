import { once } from "node:events";
import { connect } from "node:net";

import { encodeUpdate } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { newClientKey } from "../../support/raw-client.ts";
import { connectRaw } from "../../support/raw-client.ts";
import type { Ground } from "../support/lone-server.ts";
import {
  getRound,
  getTask,
  makeGround,
  seatTwo,
  TASK,
  until,
  update,
} from "../support/lone-server.ts";
import type { Exit, ServerProcess } from "../support/server-process.ts";

/** What `close` may take besides the grace itself: requests under way get 2 s, the rest is for a busy machine. */
const CLOSING_MS = 20_000;
const HANGS = "() => new Promise((resolve) => setTimeout(resolve, 600_000))";
const LASTS = `async () => {
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return { source: "central", numExamples: 1, loss: 1 };
}`;

async function terminate(server: ServerProcess): Promise<Exit & { readonly tookMs: number }> {
  const began = performance.now();
  server.child.kill("SIGTERM");
  const exit = await server.exit;
  return { ...exit, tookMs: performance.now() - began };
}

/** Both clients hand in what they kept; the round of before is committed. */
async function finish(ground: Ground, keys: readonly string[]): Promise<void> {
  const server = await ground.start();
  await using seats = await seatTwo(server.url, keys);
  const { first, second } = seats;
  expect(first.assignment.roundId).toBe(`${TASK}.1`);
  for (const { client, assignment, layout } of [first, second]) {
    expect(await client.report(assignment, layout, update(1))).toMatchObject({
      status: "accepted",
      duplicate: false,
    });
  }
  await until(
    () => getTask(server.url),
    ({ roundsCommitted }) => roundsCommitted === 1,
  );
  await server.kill();
}

const keys = () => [newClientKey(), newClientKey()] as const;

describe("SIGTERM", () => {
  test("[CH12] while a round selects: exit code 0, and the round selects again", async () => {
    await using ground = await makeGround();
    const server = await ground.start();
    await using lone = await connectRaw(server.url);
    await lone.checkIn(TASK);
    await until(
      () => getTask(server.url),
      ({ currentRound }) => currentRound?.phase === "selecting",
    );
    const exit = await terminate(server);
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(exit.tookMs).toBeLessThan(CLOSING_MS);
    await finish(ground, keys());
  });

  test("[CH12] while a round reports: an upload in flight ends or is told to come again, and the next process takes over", async () => {
    await using ground = await makeGround({ task: { schedule: { reportWindowMs: 60_000 } } });
    const server = await ground.start();
    const own = keys();
    await using seats = await seatTwo(server.url, own);
    const { first, second } = seats;
    await first.client.report(first.assignment, first.layout, update(1));
    // The second one is in mid-upload: half of its bytes are sent, and the rest never follows.
    const bytes = encodeUpdate(second.layout, update(1));
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(
      `PUT ${second.assignment.update.url} HTTP/1.1\r\nhost: ${hostname}\r\n` +
        `authorization: Bearer ${second.assignment.update.token}\r\n` +
        `content-type: application/octet-stream\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, bytes.length >> 1));
    socket.on("error", () => undefined);
    const exit = await terminate(server);
    socket.destroy();
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(exit.tookMs).toBeLessThan(CLOSING_MS);
    await finish(ground, own);
  });

  test("[CH12] while a version is made: it is finished and published within the grace", async () => {
    await using ground = await makeGround({ evaluator: LASTS });
    const server = await ground.start({ settings: { "timing.shutdownGraceMs": 60_000 } });
    await using seats = await seatTwo(server.url);
    for (const { client, assignment, layout } of [seats.first, seats.second]) {
      await client.report(assignment, layout, update(1));
    }
    await until(
      () => getRound(server.url, 1),
      ({ phase }) => phase === "aggregating",
    );
    expect(await terminate(server)).toMatchObject({ code: 0, signal: null });
    const next = await ground.start();
    expect(await getTask(next.url)).toMatchObject({ roundsCommitted: 1 });
    expect(await getRound(next.url, 1)).toMatchObject({ phase: "committed", modelVersion: 1 });
  });

  test("[CH12] while a version takes longer than the grace: the round is handed over, in time", async () => {
    await using ground = await makeGround({ evaluator: HANGS });
    const own = keys();
    const server = await ground.start({ settings: { "timing.shutdownGraceMs": 300 } });
    {
      await using seats = await seatTwo(server.url, own);
      for (const { client, assignment, layout } of [seats.first, seats.second]) {
        await client.report(assignment, layout, update(1));
      }
      await until(
        () => getRound(server.url, 1),
        ({ phase }) => phase === "aggregating",
      );
      const exit = await terminate(server);
      expect(exit).toMatchObject({ code: 0, signal: null });
      expect(exit.tookMs).toBeLessThan(CLOSING_MS);
    }
    const next = await ground.start();
    await using seats = await seatTwo(next.url, own);
    expect(seats.first.assignment).toMatchObject({ roundId: `${TASK}.1`, reported: false });
    expect(await getTask(next.url)).toMatchObject({ roundsCommitted: 0, roundsAbandoned: 0 });
  });

  test("[CH13] a second SIGTERM does not ask", async () => {
    await using ground = await makeGround({ evaluator: HANGS });
    const server = await ground.start({ settings: { "timing.shutdownGraceMs": 600_000 } });
    await using seats = await seatTwo(server.url);
    for (const { client, assignment, layout } of [seats.first, seats.second]) {
      await client.report(assignment, layout, update(1));
    }
    await until(
      () => getRound(server.url, 1),
      ({ phase }) => phase === "aggregating",
    );
    server.child.kill("SIGTERM");
    await until(server.log, (log) => log.includes("interrupt again to force"));
    expect(await terminate(server)).toMatchObject({ code: 143 });
    // Nothing is lost by it: the round is open on disk.
    const next = await ground.start();
    expect(await getRound(next.url, 1)).toMatchObject({ phase: "reporting" });
  });

  test("[CH13] while it starts: it ends, and the folder is as good as before", async () => {
    await using ground = await makeGround();
    for (const waitMs of [0, 150, 400, 700]) {
      const server = ground.launch();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const { code, signal } = await terminate(server);
      // Before the program has begun, the signal itself ends it.
      if (signal !== null) expect(signal).toBe("SIGTERM");
      else expect([0, 130]).toContain(code);
    }
    await finish(ground, keys());
  });
});

test("[CH14] a second coordinator on the folder says why it does not start, and the first never notices", async () => {
  await using ground = await makeGround();
  const first = await ground.start();
  await using seats = await seatTwo(first.url);
  const second = ground.launch({ port: 0 });
  expect(await second.exit).toMatchObject({ code: 1, signal: null });
  const errors = second
    .log()
    .split("\n")
    .filter((line) => line.startsWith("error:"));
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatch(
    /^error: UNAVAILABLE .*tributary\.sqlite is in use by another process; /,
  );
  for (const { client, assignment, layout } of [seats.first, seats.second]) {
    await client.report(assignment, layout, update(1));
  }
  expect(await seats.first.client.nextClosed()).toMatchObject({ outcome: "committed" });
});
