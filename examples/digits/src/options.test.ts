import { expect, test } from "vitest";

import { clientKeyOf, createDigitsTask } from "./job.ts";
import { parseOptions } from "./options.ts";

const tensors = [{ name: "w", shape: [1] }];

test("[EX14] flags become the job and its task", () => {
  const { job, exit } = parseOptions(
    "--rounds 7 --clients 50 --cohort 5 --epochs 2 --batch 20 --lr 0.05 --partition dirichlet --alpha 0.3 --seed 9 --target 0.9 --exit".split(
      " ",
    ),
  );
  expect(exit).toBe(true);
  expect(job.partition).toEqual({ kind: "dirichlet", alpha: 0.3 });
  expect(createDigitsTask(job, tensors)).toMatchObject({
    plan: { epochs: 2, batchSize: 20, learningRate: 0.05, seed: 9 },
    sampler: { kind: "uniform", cohortSize: 5, seed: 9 },
    schedule: { minClients: 50 },
    stop: { maxRounds: 7, target: { metric: "accuracy", value: 0.9 } },
  });
});

test("[EX14] with --noise the task is private: Poisson sampling, clipping, uniform weights, no seeded cohort", () => {
  const { job } = parseOptions("--noise 1 --clip 0.7 --epsilon 5 --delta 0.001".split(" "));
  const spec = createDigitsTask(job, tensors);
  expect(spec).toMatchObject({
    sampler: { kind: "poisson", samplingRate: 0.1, population: 100 },
    weighting: { kind: "uniform" },
    clippingNorm: 0.7,
    privacy: { mechanism: "central", noiseMultiplier: 1, maxEpsilon: 5, delta: 0.001 },
  });
  expect(spec.sampler).not.toHaveProperty("seed");
});

test("[EX14] each client has a key of its own, the same in every run of a seed", () => {
  const { job } = parseOptions([]);
  const keys = Array.from({ length: 100 }, (_, i) => clientKeyOf(job, i));
  expect(new Set(keys).size).toBe(100);
  expect(keys.every((key) => /^[A-Za-z0-9_-]{43}$/.test(key))).toBe(true);
  expect(clientKeyOf({ ...job, seed: 2 }, 0)).not.toBe(keys[0]);
});
