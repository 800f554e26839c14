/** Tasks whose rule bounds what liars can do, over real sockets and HTTP. */

import { inspect } from "node:util";

import { decodeCheckpoint, isFederatedError } from "@tributary/protocol";
import type { AggregationInput, TaskId, TaskSpecInput } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { RunningCoordinator } from "../support/coordinator.ts";
import { quiet, smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const PARAMETERS = 7;
const HONEST = [1, 2, 3, 4, 5];
/** Far away, and with examples that would make a mean theirs. */
const LIES = [3e38, -3e38];

const robustTask = (
  aggregation: AggregationInput,
  { reportWindowMs = 5_000, minReports = 7 } = {},
): TaskSpecInput =>
  smallTask({
    aggregation,
    sampler: { kind: "uniform", cohortSize: 7 },
    schedule: { minClients: 7, minReports, reportWindowMs },
  });

/** One round in which seven clients are drawn and so many of them report, each the same number throughout. */
async function playRound(running: RunningCoordinator, values: readonly number[]) {
  const clients = await Promise.all(Array.from({ length: 7 }, () => connectRaw(running.url)));
  try {
    const replies = await Promise.all(clients.map((client) => client.checkIn(TASK)));
    await Promise.all(
      values.map(async (value, i) => {
        const client = clients[i]!;
        const assignment = replies[i]!.assignment ?? (await client.nextAssignment());
        const delta = new Float32Array(PARAMETERS).fill(value);
        const numExamples = Math.abs(value) > 10 ? 1_000_000_000 : 1;
        await client.report(assignment, replies[i]!.task.layout, {
          delta,
          numExamples,
          metrics: {},
        });
      }),
    );
    return await running.roundEnded(1);
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
}

async function weightsOf(url: string): Promise<Float32Array> {
  const { layout } = await (await fetch(`${url}/v1/tasks/small`)).json();
  const frame = await fetch(`${url}/v1/tasks/small/checkpoints/latest`);
  return decodeCheckpoint(layout, new Uint8Array(await frame.arrayBuffer())).weights;
}

describe("a round with liars", () => {
  test.each<[AggregationInput, number]>([
    [{ kind: "median" }, 3],
    [{ kind: "trimmedMean", trim: 2 }, 3],
    [{ kind: "krum", byzantine: 2, select: 3 }, 3],
    [{ kind: "centredClipping", radius: 100, iterations: 1 }, 15 / 7],
  ])("[RA7] by %o publishes what the honest clients mean", async (aggregation, expected) => {
    await using running = await startCoordinator();
    await running.coordinator.tasks.create(robustTask(aggregation));
    expect(await playRound(running, [...LIES, ...HONEST])).toMatchObject({ phase: "committed" });
    for (const weight of await weightsOf(running.url)) expect(weight).toBeCloseTo(expected, 5);
    const task = await (await fetch(`${running.url}/v1/tasks/small`)).json();
    expect(task.spec.aggregation).toEqual(aggregation);
  });

  test("[RA13] with fewer reports than the rule needs is abandoned, and nothing is published", async () => {
    await using running = await startCoordinator();
    const task = robustTask({ kind: "trimmedMean", trim: 3 }, { reportWindowMs: 300 });
    await running.coordinator.tasks.create(task);
    expect(await playRound(running, HONEST)).toMatchObject({
      phase: "abandoned",
      reason: "tooFewReports",
      participants: { reported: 5 },
    });
    expect(await weightsOf(running.url)).toEqual(new Float32Array(PARAMETERS));
  });

  test("[RA12] whose rule comes to nothing in its thread is abandoned and logged, and another one follows", async () => {
    const errors: unknown[] = [];
    const logger = { ...quiet, error: (facts: unknown) => void errors.push(facts) };
    await using running = await startCoordinator({ logger });
    await running.coordinator.tasks.create(robustTask({ kind: "krum", byzantine: 2 }));
    // So far apart that no distance is finite.
    const far = [1, -1, 0.8, -0.8, 0.6, -0.6, 0.4].map((share) => 3.4e38 * share);
    expect(await playRound(running, far)).toMatchObject({
      phase: "abandoned",
      reason: "aggregationFailed",
    });
    expect(inspect(errors)).toContain("finite distance");
    const again = await Promise.all(Array.from({ length: 7 }, () => connectRaw(running.url)));
    await Promise.all(again.map((client) => client.checkIn(TASK)));
    expect((await again[0]!.nextAssignment()).roundNumber).toBe(2);
    await Promise.all(again.map((client) => client[Symbol.asyncDispose]()));
  });
});

test("[RA11] a task whose cohort does not fit into limits.robustMemoryBytes beside the others' is not created", async () => {
  await using running = await startCoordinator({
    config: { limits: { robustMemoryBytes: 5_000_000 } },
  });
  const { tasks } = running.coordinator;
  await tasks.create(robustTask({ kind: "median" }));
  await tasks.create({ ...robustTask({ kind: "median" }), taskId: "second" });
  const third = { ...robustTask({ kind: "median" }), taskId: "third" };
  const refused = await tasks.create(third).catch((error: unknown) => error);
  expect(isFederatedError(refused) && refused.code).toBe("CONFIG_INVALID");
  expect(String(refused)).toMatch(
    /7 reports of 28 bytes .* with \d+ of other tasks above limits.robustMemoryBytes of 5000000/,
  );
  // One that has ended needs none.
  await tasks.cancel("second" as TaskId);
  expect((await tasks.create(third)).state).toBe("running");
});
