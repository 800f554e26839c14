import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { brotliCompressSync } from "node:zlib";

import type { Assignment, TaskId } from "@tributary/protocol";
import { decodeCheckpoint, encodeUpdate } from "@tributary/protocol";
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
  packed = false,
): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(
    `PUT ${update.url} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${update.token}\r\n` +
      (packed ? "content-encoding: br\r\n" : "") +
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

test.each([{ packed: false }, { packed: true }])(
  "[RD30] an upload whose round ends before it (packed: $packed) is ended, refused when it comes again, and in no later round",
  async ({ packed }) => {
    await using running = await startCoordinator();
    const { coordinator, url } = running;
    // Large enough for memory of a sum, which the next round has again.
    const parameters = 10_000;
    await coordinator.tasks.create({
      ...smallTask({ sampler: { kind: "uniform", cohortSize: 2, overSelection: 0.5 } }),
      model: { tensors: [{ name: "w", shape: [parameters] }] },
      schedule: { minClients: 3, reportWindowMs: 1_000 },
    });
    const clients = await Promise.all([connectRaw(url), connectRaw(url), connectRaw(url)]);
    const seats = async () => {
      const replies = await Promise.all(clients.map((client) => client.checkIn("small")));
      const assignments = await Promise.all(
        clients.map(async (client, i) => replies[i]!.assignment ?? (await client.nextAssignment())),
      );
      return { layout: replies[0]!.task.layout, assignments };
    };
    const valued = (value: number) => ({
      ...{ delta: new Float32Array(parameters).fill(value), numExamples: 1, metrics: {} },
    });
    const { layout, assignments } = await seats();
    const plain = encodeUpdate(layout, valued(1e6));
    const bytes = packed ? brotliCompressSync(plain) : plain;
    const socket = await beginUpload(url, assignments[2]!, bytes, packed);
    const answer = once(socket, "data");
    for (const i of [0, 1]) await clients[i]!.report(assignments[i]!, layout, valued(1));
    await running.roundEnded(1);
    expect(String((await answer)[0])).toMatch(/^HTTP\/1.1 503.*UNAVAILABLE.*its round ended/s);
    const second = await seats();
    // The late one's rest comes between the reports of the round that is open now.
    await clients[0].report(second.assignments[0]!, layout, valued(2));
    socket.write(bytes.subarray(bytes.length >> 1));
    expect(await clients[2].put(assignments[2]!, plain)).toMatchObject({
      ...{ status: 409, body: { code: "ROUND_CLOSED" } },
    });
    await clients[1].report(second.assignments[1]!, layout, valued(2));
    expect(await running.roundEnded(2)).toMatchObject({
      ...{ phase: "committed", participants: { reported: 2 } },
    });
    const { digest } = await coordinator.models.get(TASK, "latest");
    const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
    expect(new Set(weights)).toEqual(new Set([3]));
    socket.destroy();
    for (const client of clients) await client[Symbol.asyncDispose]();
  },
);
