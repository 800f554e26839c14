import type { TaskId } from "@tributary/protocol";
import { decodeCheckpoint, encodeUpdate } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { smallTask, startCoordinator } from "../support/coordinator.ts";
import { connectRaw } from "../support/raw-client.ts";

const TASK = "small" as TaskId;
const PARAMETERS = 7;

describe("a private round of a running coordinator", () => {
  test("[GR5] whatever is not finite or does not fit is refused before ledger and sum; what is released is on the grid", async () => {
    await using running = await startCoordinator();
    const { coordinator } = running;
    const privacy = { mechanism: "central" as const, delta: 1e-5, maxEpsilon: 1e9 };
    await coordinator.tasks.create(
      smallTask({
        clippingNorm: 1,
        privacy: { ...privacy, noiseMultiplier: 0.25 },
        stop: { maxRounds: 1 },
      }),
    );
    await using honest = await connectRaw(running.url);
    await using hostile = await connectRaw(running.url);
    const [reply] = await Promise.all([honest.checkIn(TASK), hostile.checkIn(TASK)]);
    const { layout } = reply.task;
    const [mine, theirs] = await Promise.all([honest.nextAssignment(), hostile.nextAssignment()]);
    for (const bad of [Number.NaN, Infinity, -Infinity, 1e308, -1e39]) {
      const delta = new Float32Array(PARAMETERS).fill(0.1);
      delta[PARAMETERS - 1] = bad;
      const answer = await hostile.put(
        theirs,
        encodeUpdate(layout, { delta, numExamples: 1, metrics: {} }),
      );
      expect(answer.body.code).toBe("UPDATE_NOT_FINITE");
    }
    for (const length of [0, 6, 8]) {
      const other = { ...layout, parameterCount: length };
      const update = { delta: new Float32Array(length), numExamples: 1, metrics: {} };
      const answer = await hostile.put(theirs, encodeUpdate(other, update));
      expect(["UPDATE_LAYOUT_MISMATCH", "MALFORMED_MESSAGE"]).toContain(answer.body.code);
    }
    expect(await coordinator.tasks.privacy(TASK)).toMatchObject({ epsilon: 0, rounds: 0 });
    // A client comes back after refusals, as in any round.
    await using repentant = await connectRaw(running.url, { clientKey: hostile.clientKey });
    const uploads = [
      { client: honest, assignment: mine, value: 0.25, numExamples: 1 },
      // Clipped, and of many examples: it counts once all the same.
      { client: repentant, assignment: theirs, value: 3e38, numExamples: 99_000 },
    ];
    for (const { client, assignment, value, numExamples } of uploads) {
      const delta = new Float32Array(PARAMETERS).fill(value);
      await client.report(assignment, layout, { delta, numExamples, metrics: {} });
    }
    expect(await running.roundEnded(1)).toMatchObject({ phase: "committed" });
    expect(await coordinator.tasks.privacy(TASK)).toMatchObject({ rounds: 1 });
    const { digest } = await coordinator.models.get(TASK, 1);
    const { weights } = decodeCheckpoint(layout, await coordinator.models.checkpoint(digest));
    // z C / 2^20; the denominator is minClients, 2.
    const step = 2 ** -22;
    const mean = (0.25 + 1 / Math.sqrt(PARAMETERS)) / 2;
    for (const weight of weights) {
      // Neither the size nor the examples that were claimed count: noise is 1/8, and 10 times that never comes.
      expect(Math.abs(weight - mean)).toBeLessThan(10 / 8);
      // Whole steps on the sum, halved. Float32 would have room for finer values.
      expect(Number.isInteger((2 * weight) / step)).toBe(true);
    }
    expect(new Set(weights).size).toBeGreaterThan(1);
  });
});
