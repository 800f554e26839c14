import { decodeCheckpoint } from "@tributary/protocol";
import type { TaskId } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import type { RawClient } from "../support/raw-client.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const update = (value: number, numExamples = 1) => ({
  delta: new Float32Array(7).fill(value),
  numExamples,
  metrics: {},
});

/** Checks clients in and gives each with its assignment and layout. */
async function assigned(clients: readonly RawClient[]) {
  const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
  return Promise.all(
    clients.map(async (client, i) => ({
      client,
      layout: replies[i]!.task.layout,
      assignment: await client.nextAssignment(),
    })),
  );
}

async function weightsOf(url: string, version: number | "latest") {
  const task = await (await fetch(`${url}/v1/tasks/small`)).json();
  const frame = await fetch(`${url}/v1/tasks/small/checkpoints/${version}`);
  return decodeCheckpoint(task.layout, new Uint8Array(await frame.arrayBuffer()));
}

describe("a round from check-in to published model", () => {
  test("[RD20] the published model is the weighted mean of what clients sent", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(
      smallTask({ weighting: { kind: "byExamples", cap: 10 } }),
      new Float32Array(7).fill(1),
    );
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const [a, b] = await assigned([first, second]);
    expect(await a!.client.report(a!.assignment, a!.layout, update(1, 5))).toEqual({
      roundId: "small.1",
      status: "accepted",
      duplicate: false,
    });
    await b!.client.report(b!.assignment, b!.layout, update(4, 1_000));
    expect(await first.nextClosed()).toMatchObject({ outcome: "committed", modelVersion: 1 });
    const { weights, modelVersion } = await weightsOf(running.url, "latest");
    expect(modelVersion).toBe(1);
    // 1 + (5 * 1 + 10 * 4) / 15, since the cap counts 1 000 examples as 10
    for (const weight of weights) expect(weight).toBeCloseTo(4, 6);
    expect((await weightsOf(running.url, 0)).weights).toEqual(new Float32Array(7).fill(1));
  });

  test("[RD21] a retry is counted once; after the commit its receipt says so", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const [a, b] = await assigned([first, second]);
    await first.report(a!.assignment, a!.layout, update(2));
    expect(await first.report(a!.assignment, a!.layout, update(2))).toMatchObject({
      status: "accepted",
      duplicate: true,
    });
    await expect(first.report(a!.assignment, a!.layout, update(3))).rejects.toMatchObject({
      code: "UPDATE_CONFLICT",
    });
    await second.report(b!.assignment, b!.layout, update(4));
    await first.nextClosed();
    expect(await first.report(a!.assignment, a!.layout, update(2))).toMatchObject({
      status: "committed",
      modelVersion: 1,
      duplicate: true,
    });
    expect((await weightsOf(running.url, 1)).weights[0]).toBeCloseTo(3, 6);
  });

  test("[RD22] a client that joins late waits and takes part in the next round", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const [a, b] = await assigned([first, second]);
    await using late = await connectRaw(running.url);
    expect((await late.checkIn(TASK)).assignment).toBeUndefined();
    await first.report(a!.assignment, a!.layout, update(1));
    await second.report(b!.assignment, b!.layout, update(1));
    await running.roundEnded(1);
    await first.checkIn(TASK);
    expect((await late.nextAssignment()).roundNumber).toBe(2);
  });

  test("[RD23] silent, declining and leaving clients hold a round up no longer than its deadline", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(
      smallTask({ schedule: { minClients: 4, minReports: 1, reportWindowMs: 700 } }),
    );
    const clients = await Promise.all([1, 2, 3, 4].map(() => connectRaw(running.url)));
    const [a, b, c] = await assigned(clients);
    await b!.client.ask("decline", { roundId: "small.1" });
    await c!.client.ask("leave", { taskId: TASK });
    await a!.client.report(a!.assignment, a!.layout, update(1));
    const round = await running.roundEnded(1);
    expect(round).toMatchObject({
      phase: "committed",
      participants: { selected: 4, reported: 1, declined: 1, left: 1, timedOut: 1, pending: 0 },
    });
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  test("[RD24] a round below minReports is abandoned with its reason and changes nothing", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask({ schedule: { reportWindowMs: 300 } }));
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const [a] = await assigned([first, second]);
    await first.report(a!.assignment, a!.layout, update(1));
    expect(await first.nextClosed()).toMatchObject({
      outcome: "abandoned",
      reason: "tooFewReports",
    });
    const task = await running.coordinator.tasks.get(TASK);
    expect(task).toMatchObject({
      roundsCommitted: 0,
      roundsAbandoned: 1,
      checkpoint: { modelVersion: 0 },
    });
    // and the next round comes
    await Promise.all([first.checkIn(TASK), second.checkIn(TASK)]);
    expect((await first.nextAssignment()).roundNumber).toBe(2);
  });

  test("[RD25] stops after maxRounds and tells clients, who are refused from then on", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 1 } }));
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    for (const { client, assignment, layout } of await assigned([first, second])) {
      await client.report(assignment, layout, update(1));
    }
    expect(await first.next("task:ended")).toEqual({ taskId: TASK, reason: "maxRoundsReached" });
    await expect(first.checkIn(TASK)).rejects.toMatchObject({ code: "TASK_ENDED" });
  });

  test("[RD29] the end of a round is told before its model, and the model before the task's end", async () => {
    await using running = await startCoordinator();
    const told: string[] = [];
    running.coordinator.events.subscribe((event) => {
      const { data } = event;
      told.push("phase" in data ? `${event.type} ${data.phase}` : event.type);
    });
    await running.coordinator.tasks.create(smallTask({ stop: { maxRounds: 1 } }));
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    for (const { client, assignment, layout } of await assigned([first, second])) {
      await client.report(assignment, layout, update(1));
    }
    await first.next("task:ended");
    expect(told.filter((type) => !type.startsWith("round:progress"))).toEqual([
      "task:created",
      "round:phaseChanged selecting",
      "round:phaseChanged reporting",
      "round:phaseChanged aggregating",
      "round:phaseChanged committed",
      "model:published",
      "task:stateChanged",
    ]);
  });

  test("[RD26] pause finishes the open round and starts no other; resume goes on; cancel ends", async () => {
    await using running = await startCoordinator();
    const { tasks } = running.coordinator;
    await tasks.create(smallTask());
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const places = await assigned([first, second]);
    await tasks.pause(TASK);
    for (const { client, assignment, layout } of places)
      await client.report(assignment, layout, update(1));
    expect(await running.roundEnded(1)).toMatchObject({ phase: "committed" });
    expect((await first.checkIn(TASK)).task.paused).toBe(true);
    await second.checkIn(TASK);
    expect((await tasks.get(TASK)).currentRound).toBeUndefined();
    await tasks.resume(TASK);
    expect((await first.nextAssignment()).roundNumber).toBe(2);
    await tasks.cancel(TASK);
    expect(await first.nextClosed()).toMatchObject({ roundId: "small.1" });
    expect(await first.nextClosed()).toMatchObject({ outcome: "abandoned", reason: "cancelled" });
    expect(await tasks.get(TASK)).toMatchObject({ state: "ended", endReason: "cancelled" });
  });

  test("[RD27] several tasks run at once and do not meet", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    await running.coordinator.tasks.create(
      smallTask({ taskId: "other" }),
      new Float32Array(7).fill(9),
    );
    await using first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    await Promise.all([first, second].map((client) => client.checkIn("other")));
    const [other] = await Promise.all([first.nextAssignment(), second.nextAssignment()]);
    expect(other.roundId).toBe("other.1");
    for (const { client, assignment, layout } of await assigned([first, second])) {
      await client.report(assignment, layout, update(1));
    }
    await running.roundEnded(1);
    const tasks = await running.coordinator.tasks.list();
    expect(tasks.map((task) => [task.taskId, task.checkpoint.modelVersion])).toEqual([
      ["small", 1],
      ["other", 0],
    ]);
  });

  test("[RD28] a reconnecting participant gets its assignment again, and whether it is counted", async () => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(smallTask());
    const first = await connectRaw(running.url);
    await using second = await connectRaw(running.url);
    const [a] = await assigned([first, second]);
    first.socket.close();
    await using again = await connectRaw(running.url, { clientKey: first.clientKey });
    const reply = await again.checkIn(TASK);
    expect(reply.assignment).toMatchObject({ roundId: "small.1", reported: false });
    await again.report(reply.assignment!, a!.layout, update(1));
    expect((await again.checkIn(TASK)).assignment).toMatchObject({ reported: true });
  });
});
