import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";

import type { Assignment, TaskId } from "@tributary/protocol";
import { encodeUpdate } from "@tributary/protocol";
import { expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const update = { delta: new Float32Array(7).fill(1), numExamples: 1, metrics: {} };

/** Three places for a goal of two; two clients are ready, the third has sent half of its update. */
async function threeForTwo({ coordinator, url }: RunningCoordinator) {
  await coordinator.tasks.create(
    smallTask({
      sampler: { kind: "uniform", cohortSize: 2, overSelection: 0.5 },
      schedule: { minClients: 3, reportWindowMs: 600_000 },
    }),
  );
  const clients = await Promise.all([connectRaw(url), connectRaw(url), connectRaw(url)]);
  const replies = await Promise.all(clients.map((client) => client.checkIn("small")));
  const seats = await Promise.all(
    clients.map(async (client, i) => ({
      client,
      assignment: replies[i]!.assignment ?? (await client.nextAssignment()),
    })),
  );
  const bytes = encodeUpdate(replies[0]!.task.layout, update);
  const [first, second, third] = seats;
  const socket = await beginUpload(url, third!.assignment, bytes);
  // Its request is being handled: its bytes are counted as they come.
  const metrics = async () => (await fetch(`${url}/metrics`)).text();
  while (!/^tributary_received_bytes_total [1-9]/m.test(await metrics())) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const { client, assignment } of [first!, second!]) {
    expect((await client.put(assignment, bytes)).body).toMatchObject({ status: "accepted" });
  }
  return { socket, bytes, first: first!, third: third! };
}

async function beginUpload(
  url: string,
  { update }: Assignment,
  bytes: Uint8Array,
): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(
    `PUT ${update.url} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${update.token}\r\n` +
      `content-type: application/octet-stream\r\ncontent-length: ${bytes.length}\r\n\r\n`,
  );
  socket.write(bytes.subarray(0, bytes.length >> 1));
  return socket;
}

const ROUND = "small.1" as never;
const TASK = "small" as TaskId;

test("[CH42] an upload that is under way when the goal is reached arrives and is counted", async () => {
  await using running = await startCoordinator();
  const { socket, bytes, first } = await threeForTwo(running);
  expect((await running.coordinator.tasks.round(ROUND)).phase).toBe("reporting");
  const answer = once(socket, "data");
  socket.write(bytes.subarray(bytes.length >> 1));
  expect(String((await answer)[0])).toContain('"status":"accepted"');
  socket.destroy();
  expect(await first.client.nextClosed()).toMatchObject({ outcome: "committed" });
  expect((await running.coordinator.tasks.round(ROUND)).participants).toMatchObject({
    selected: 3,
    reported: 3,
  });
});

test("[CH42] an upload that breaks off does not hold the round up any longer", async () => {
  await using running = await startCoordinator();
  const { socket, first, third } = await threeForTwo(running);
  socket.resetAndDestroy();
  expect(await third.client.nextClosed()).toMatchObject({ outcome: "reportsClosed" });
  expect(await first.client.nextClosed()).toMatchObject({ outcome: "committed" });
  expect((await running.coordinator.tasks.get(TASK)).roundsCommitted).toBe(1);
});
