import { expect, test, vi } from "vitest";

import { createCoordinator } from "./coordinator.ts";

const { computedHere } = vi.hoisted(() => ({ computedHere: [] as string[] }));

// Of this thread: the accountant's own has a module of its own.
vi.mock("./privacy/pld.ts", () => ({
  epsilonOfLoss: () => {
    computedHere.push("loss");
    return Infinity;
  },
}));

test("[DP25] a coordinator creates a task and shows its budget with no privacy loss computed on its event loop", async () => {
  await using coordinator = await createCoordinator({
    config: { storage: { kind: "memory" }, log: { level: "silent" } },
  });
  const { taskId } = await coordinator.tasks.create({
    taskId: "t",
    model: { tensors: [{ name: "w", shape: [2] }] },
    sampler: { kind: "poisson", samplingRate: 0.01, population: 1000 },
    schedule: { minClients: 2, minReports: 2 },
    clippingNorm: 1,
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 1 },
  });
  const shown = await coordinator.tasks.privacy(taskId);
  expect(shown).toMatchObject({ mechanism: "central", rounds: 0 });
  expect(shown.mechanism === "central" && shown.roundsLeft).toBeGreaterThan(10);
  expect(computedHere).toEqual([]);
});
