import { encodeUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import { getRound, getTask, makeGround, seatTwo, until, update } from "../support/lone-server.ts";
import type { ServerProcess } from "../support/server-process.ts";

const DAY_MS = 86_400_000;
const WINDOW_MS = 120_000;

/** SIGUSR2, and the shim's word that it has acted. */
async function act({ child, log }: ServerProcess): Promise<void> {
  const before = log().split("the chaos shim has acted").length;
  child.kill("SIGUSR2");
  await until(
    () => log().split("the chaos shim has acted").length,
    (count) => count > before,
  );
}

const jump = (ms: number) => ({
  preload: ["runtime/shim"],
  environment: { CHAOS_CLOCK_JUMP_MS: String(ms) },
});

test.each([400 * DAY_MS, -400 * DAY_MS])(
  "[CH10] a wall clock that jumps by %d ms in mid-round voids no assignment and moves no deadline",
  async (jumpMs) => {
    await using ground = await makeGround({ task: { schedule: { reportWindowMs: WINDOW_MS } } });
    const server = await ground.start(jump(jumpMs));
    await using seats = await seatTwo(server.url);
    const { first, second } = seats;
    await act(server);
    const bytes = encodeUpdate(first.layout, update(1));
    expect(await first.client.put(first.assignment, bytes)).toMatchObject({
      status: 200,
      body: { status: "accepted", duplicate: false },
    });
    // The time that is left is what it was, whatever day it is.
    const again = (await second.client.checkIn("small")).assignment!;
    expect(again.timeLeftMs).toBeGreaterThan(0);
    expect(again.timeLeftMs).toBeLessThanOrEqual(WINDOW_MS);
    await second.client.report(second.assignment, second.layout, update(3));
    expect(await first.client.nextClosed()).toMatchObject({ outcome: "committed" });

    // And the next round is like any other.
    await using more = await seatTwo(server.url);
    await more.first.client.report(more.first.assignment, more.first.layout, update(1));
    await more.second.client.report(more.second.assignment, more.second.layout, update(1));
    expect(await more.first.client.nextClosed()).toMatchObject({ modelVersion: 2 });
  },
);

test("[CH10] a clock that jumps back does not hold a round open", async () => {
  await using ground = await makeGround({ task: { schedule: { reportWindowMs: 1_500 } } });
  const server = await ground.start(jump(-DAY_MS));
  await using seats = await seatTwo(server.url);
  await act(server);
  expect(await seats.first.client.nextClosed(30_000)).toMatchObject({ reason: "tooFewReports" });
});

test("[CH10] a coordinator that starts again with a clock years ahead still takes the open round's updates", async () => {
  await using ground = await makeGround({ task: { schedule: { reportWindowMs: WINDOW_MS } } });
  let server = await ground.start();
  await using seats = await seatTwo(server.url);
  const { first, second } = seats;
  await server.kill();
  server = await ground.start({
    preload: ["runtime/shim"],
    environment: { CHAOS_CLOCK_OFFSET_MS: String(1000 * DAY_MS) },
  });
  for (const { client, assignment, layout } of [first, second]) {
    expect(await client.report(assignment, layout, update(1))).toMatchObject({
      status: "accepted",
    });
  }
  await until(
    () => getTask(server.url),
    ({ roundsCommitted }) => roundsCommitted === 1,
  );
  // What has ended is left to the wall clock: there the token has expired.
  expect(await first.client.put(first.assignment, new Uint8Array(1))).toMatchObject({
    status: 401,
  });
});

const PAUSE_MS = 4_000;

test("[CH11] an event loop that is blocked beyond the deadline loses no report that was sent in time", async () => {
  await using ground = await makeGround({ task: { schedule: { reportWindowMs: 2_500 } } });
  const server = await ground.start({
    preload: ["runtime/shim"],
    environment: { CHAOS_BLOCK_MS: String(PAUSE_MS) },
  });
  await using seats = await seatTwo(server.url);
  const { first, second } = seats;
  server.child.kill("SIGUSR2");
  const receipts = await Promise.all(
    [first, second].map(({ client, assignment, layout }) =>
      client.report(assignment, layout, update(1)),
    ),
  );
  expect(receipts.map(({ status }) => status)).toEqual(["accepted", "accepted"]);
  expect(await first.client.nextClosed()).toMatchObject({ outcome: "committed" });
  expect(await getRound(server.url, 1)).toMatchObject({
    participants: { selected: 2, reported: 2, disconnected: 0 },
  });
  // It says so, and nobody was disconnected.
  expect(server.log()).toContain("the process stood still");
  expect(first.client.socket.connected && second.client.socket.connected).toBe(true);
});

test("[CH11] a process that is stopped beyond the deadline goes on where it was", async () => {
  await using ground = await makeGround({ task: { schedule: { reportWindowMs: 2_500 } } });
  const server = await ground.start();
  await using seats = await seatTwo(server.url);
  const { first, second } = seats;
  server.child.kill("SIGSTOP");
  const reports = Promise.all(
    [first, second].map(({ client, assignment, layout }) =>
      client.report(assignment, layout, update(1)),
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  server.child.kill("SIGCONT");
  expect((await reports).map(({ status }) => status)).toEqual(["accepted", "accepted"]);
  expect(await first.client.nextClosed()).toMatchObject({ outcome: "committed" });
});

test("[CH11] the deadline that was moved still comes", async () => {
  await using ground = await makeGround({ task: { schedule: { reportWindowMs: 1_500 } } });
  const server = await ground.start({
    preload: ["runtime/shim"],
    environment: { CHAOS_BLOCK_MS: String(PAUSE_MS) },
  });
  await using seats = await seatTwo(server.url);
  server.child.kill("SIGUSR2");
  expect(await seats.first.client.nextClosed(30_000)).toMatchObject({ reason: "tooFewReports" });
});
