import { createLayout } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { resolveTaskSpec } from "../task/spec.ts";
import type { PopulationSettings } from "./population.ts";
import type { TrainingPool } from "./training-pool.ts";
import { openTrainingHere, openTrainingPool, sharedWeights } from "./training-pool.ts";

async function settings(): Promise<PopulationSettings> {
  const task = resolveTaskSpec({ taskId: "t", model: { tensors: [{ name: "w", shape: [8] }] } });
  return { seed: 1, task, layout: await createLayout(task.model.tensors) };
}
const origin = { kind: "synthetic", options: { clients: 100 } } as const;
/** Questions of which each gets its turn between two trainings: whatever would be trained meanwhile is. */
async function letThemTrain(pool: TrainingPool, weights: Float32Array): Promise<void> {
  for (let i = 0; i < 12; i++) await pool.evaluate(weights);
}

describe("threads that train", () => {
  test("[SI9] stay a few results ahead of what is asked for, and begin with what is due first", async () => {
    const population = await settings();
    const pool = await openTrainingPool(origin, population, 1);
    const { plan } = population.task;
    const weights = sharedWeights(new Float32Array(8));
    const job = (client: number) => ({
      ...{ client, roundNumber: 1, weights, plan: { ...plan, evaluate: false } },
    });
    const trainings = Array.from({ length: 50 }, (_, i) => pool.train(job(i), 50 - i));
    for (let asked = 1; asked <= 50; asked++) {
      expect(await trainings[50 - asked]!.result()).toMatchObject({ kind: "trained" });
      if (asked === 1 || asked === 10) await letThemTrain(pool, weights);
      expect(pool.trained()).toBeLessThanOrEqual(asked + 4);
      expect(pool.trained()).toBeGreaterThanOrEqual(asked);
    }
    expect(pool.trained()).toBe(50);
    await pool.close();
  });

  test("[SI9] forget what nobody wants any more", async () => {
    const population = await settings();
    const pool = await openTrainingPool(origin, population, 1);
    const { plan } = population.task;
    const weights = sharedWeights(new Float32Array(8));
    const trainings = Array.from({ length: 40 }, (_, client) =>
      pool.train({ client, roundNumber: 1, weights, plan: { ...plan, evaluate: false } }, client),
    );
    for (const training of trainings.slice(0, 39)) training.drop();
    expect(await trainings[39]!.result()).toMatchObject({ kind: "trained" });
    await letThemTrain(pool, weights);
    // Four had begun before they were dropped.
    expect(pool.trained()).toBeLessThanOrEqual(5);
    await pool.close();
  });

  test("[SI1] give bit for bit what is trained without them", async () => {
    const population = await settings();
    const pool = await openTrainingPool(origin, population, 2);
    const here = await openTrainingHere(
      (await import("./synthetic-clients.ts")).syntheticClients({ clients: 100 }),
      population,
    );
    const { plan } = population.task;
    const job = {
      ...{ client: 3, roundNumber: 2, weights: sharedWeights(new Float32Array(8)) },
      plan: { ...plan, evaluate: false },
    };
    expect(await pool.train(job, 0).result()).toEqual(await here.train(job, 0).result());
    await pool.close();
  });

  test("[SI8] when they are closed, nobody waits for them any more", async () => {
    const population = await settings();
    const pool = await openTrainingPool(origin, population, 1);
    const weights = sharedWeights(new Float32Array(8));
    const plan = { ...population.task.plan, evaluate: false };
    const training = pool.train({ client: 0, roundNumber: 1, weights, plan }, 0);
    const told = expect(training.result()).rejects.toThrow("enough");
    await pool.close(new Error("enough"));
    await told;
    await expect(
      pool.train({ client: 1, roundNumber: 1, weights, plan }, 0).result(),
    ).rejects.toThrow("enough");
  });
});
