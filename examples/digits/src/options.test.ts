import { expect, test } from "vitest";

import { clientKeyOf, createDigitsTask, settingsOf } from "./job.ts";
import { parseOptions } from "./options.ts";

const tensors = [{ name: "w", shape: [1] }];

test("[EX14] flags become the job and its task", () => {
  const { job, exit } = parseOptions(
    "--no-dp --rounds 7 --clients 50 --cohort 5 --epochs 2 --batch 20 --lr 0.05 --partition dirichlet --alpha 0.3 --seed 9 --target 0.9 --exit".split(
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

test("[EX14] the task is private by default: Poisson sampling, clipping, uniform weights, no seeded cohort", () => {
  const spec = createDigitsTask(parseOptions([]).job, tensors);
  expect(spec).toMatchObject({
    sampler: { kind: "poisson", samplingRate: 1 / 6, population: 600 },
    weighting: { kind: "uniform" },
    privacy: { mechanism: "central" },
    // Nothing but the budget ends it.
    stop: {},
  });
  expect(spec.stop).toEqual({});
  expect(spec.sampler).not.toHaveProperty("seed");
  const chosen =
    "--noise 1 --clip 0.7 --epsilon 5 --delta 0.001 --clients 50 --cohort 5 --server-lr 2";
  expect(createDigitsTask(parseOptions(chosen.split(" ")).job, tensors)).toMatchObject({
    sampler: { kind: "poisson", samplingRate: 0.1, population: 50 },
    serverOptimizer: { kind: "sgd", learningRate: 2 },
    clippingNorm: 0.7,
    privacy: { mechanism: "central", noiseMultiplier: 1, maxEpsilon: 5, delta: 0.001 },
  });
});

test("[EX14] --no-dp is the plain run of 100 clients", () => {
  const { job } = parseOptions(["--no-dp"]);
  expect(job).not.toHaveProperty("privacy");
  expect(createDigitsTask(job, tensors)).toMatchObject({
    plan: { epochs: 2, batchSize: 10, learningRate: 0.1 },
    sampler: { kind: "uniform", cohortSize: 10 },
    serverOptimizer: { kind: "sgd", learningRate: 1 },
    schedule: { minClients: 100 },
    stop: { maxRounds: 30 },
  });
});

test("[LE3] the default delta is far below one in the number of clients, and the budget single-digit", () => {
  const { job } = parseOptions([]);
  const { delta = 1, maxEpsilon = Infinity } = job.privacy ?? {};
  // The rule of thumb 1 / N^1.1 and better.
  expect(delta).toBeLessThan(job.clients ** -1.1);
  expect(maxEpsilon).toBeLessThan(10);
});

test("[LE5] settings differ where noise, norm, budget, delta or the server's step do, and without privacy", () => {
  const settings = (...more: string[]) =>
    settingsOf(createDigitsTask(parseOptions(more).job, tensors));
  expect(settings()).toBe(settings("--noise", "1.2"));
  const others = [
    settings("--noise", "1"),
    settings("--clip", "1"),
    settings("--epsilon", "3"),
    settings("--delta", "0.001"),
    settings("--server-lr", "1"),
    settings("--no-dp"),
  ];
  expect(new Set([settings(), ...others]).size).toBe(7);
});

test("[EX14] each client has a key of its own, the same in every run of a seed", () => {
  const { job } = parseOptions([]);
  const keys = Array.from({ length: 600 }, (_, i) => clientKeyOf(job, i));
  expect(new Set(keys).size).toBe(600);
  expect(keys.every((key) => /^[A-Za-z0-9_-]{43}$/.test(key))).toBe(true);
  expect(clientKeyOf({ ...job, seed: 2 }, 0)).not.toBe(keys[0]);
});
