import type { SamplingClaim, TaskSpecInput } from "@tributary/protocol";
import { roundIdOf } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { LedgerEvent } from "../ports.ts";
import { epsilonOf, roundsLeft } from "../privacy/accountant.ts";
import { sampledGaussian } from "../privacy/charge.ts";
import { epsilonOfGaussian } from "../privacy/gaussian-curve.ts";
import { resolveTaskSpec } from "../task/spec.ts";
import { affordsNextRound, privacyPromise, privacyResource } from "./budget.ts";

/** Its norm is the task's. */
const first = { modelVersion: 0 };

const specOf = (extra: Partial<TaskSpecInput> = {}) =>
  resolveTaskSpec({
    taskId: "t",
    model: { tensors: [{ name: "w", shape: [2] }] },
    sampler: { kind: "poisson", samplingRate: 0.1, population: 1000 },
    clippingNorm: 0.5,
    privacy: { mechanism: "central", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 3 },
    ...extra,
  });
const spec = specOf();

function ledger(...claims: readonly (SamplingClaim | "void")[]): LedgerEvent[] {
  return claims.map((claim, i) => ({
    roundId: roundIdOf(spec.taskId, i + 1),
    taskId: spec.taskId,
    charge: {
      ...({ mechanism: "gaussian", noiseMultiplier: 1 } as const),
      claim: claim === "void" ? { kind: "none" } : claim,
    },
    status: claim === "void" ? "void" : "released",
    reservedAt: 1,
  }));
}
const coins = { kind: "poisson", samplingRate: 0.1 } as const;

describe("the promise of a private task", () => {
  test("[PS1] has unit, neighbours, epsilon, delta, mechanism, sampling, rounds and against whom, as charged", () => {
    const promise = privacyPromise(spec, ledger(coins, "void", coins), first);
    expect(promise).toMatchObject({
      ...{ mechanism: "central", unit: "client", adjacency: "add-or-remove-one" },
      ...{ against: "released-models", noiseMultiplier: 1, clippingNorm: 0.5 },
      ...{ delta: 1e-5, maxEpsilon: 3, rounds: 2, warnings: [] },
      sampling: [{ claim: coins, rounds: 2 }],
      epsilon: epsilonOf([sampledGaussian(1, 0.1), sampledGaussian(1, 0.1)], 1e-5).epsilon,
    });
    // One round that nobody drew by coins, as after an update of the coordinator, is said and paid.
    const mixed = privacyPromise(spec, ledger(coins, { kind: "none" }), first);
    expect(mixed).toMatchObject({
      sampling: [
        { claim: coins, rounds: 1 },
        { claim: { kind: "none" }, rounds: 1 },
      ],
      epsilon: epsilonOf([sampledGaussian(1, 0.1), sampledGaussian(1, 1)], 1e-5).epsilon,
    });
    expect(mixed.statement).toContain("in 1 rounds the choice of clients is not counted on");
  });

  test("[PS1] before the first round says how it will be drawn", () => {
    expect(privacyPromise(spec, [], first)).toMatchObject({
      ...{ epsilon: 0, epsilonWithoutAmplification: 0, rounds: 0 },
      sampling: [{ claim: coins, rounds: 0 }],
    });
  });

  test("[PS4] whoever knows who took part is told an epsilon without amplification", () => {
    const promise = privacyPromise(spec, ledger(coins, coins, coins, coins), first);
    expect(promise).toMatchObject({ epsilonWithoutAmplification: epsilonOfGaussian(2, 1e-5) });
    expect(promise.statement).toContain("knows who took part in which round");
    expect(promise.statement).toContain("It does not hold against the coordinator");
  });

  test("[PS3] a careless delta and a tight cap are in the statement and beside it", () => {
    const careless = specOf({
      sampler: { kind: "poisson", samplingRate: 0.1, population: 1000, maxCohort: 100 },
      privacy: { mechanism: "central", noiseMultiplier: 1, delta: 9e-4, maxEpsilon: 3 },
    });
    const promise = privacyPromise(careless, [], first);
    expect(promise).toMatchObject({
      warnings: [
        expect.stringContaining("1 / N^1.1"),
        expect.stringContaining("sampler.maxCohort of 100"),
      ],
    });
    expect(promise.statement).toContain("Note: delta of 0.0009");
  });

  test("[PS2] a cohort of fixed size promises for a client that keeps its place", () => {
    const uniform = specOf({ sampler: { kind: "uniform", cohortSize: 50 } });
    expect(privacyPromise(uniform, [], first)).toMatchObject({
      adjacency: "zero-out",
      sampling: [{ claim: { kind: "fixedSize", cohortSize: 50 }, rounds: 0 }],
    });
  });

  test("[DP17] what is left is planned with the claim that selection will make", () => {
    const privacy = {
      mechanism: "central",
      noiseMultiplier: 1,
      delta: 1e-5,
      maxEpsilon: 8,
    } as const;
    const free = specOf({ privacy });
    const capped = specOf({
      privacy,
      sampler: { kind: "poisson", samplingRate: 0.1, population: 1000, maxCohort: 120 },
    });
    const shown = privacyResource(free, [], first);
    const claim = {
      kind: "truncatedPoisson",
      samplingRate: 0.1,
      population: 1000,
      cap: 120,
    } as const;
    const next = { mechanism: "gaussian", noiseMultiplier: 1, claim } as const;
    const left = roundsLeft([], next, 1e-5, 8);
    expect(left).toBeGreaterThan(0);
    expect(shown.mechanism === "central" && shown.roundsLeft).toBeGreaterThan(left);
    // Of a capped cohort it takes long to count them, so nobody who looks at a task makes it do so.
    expect(privacyResource(capped, [], first)).not.toHaveProperty("roundsLeft");
    const all = Array.from({ length: left }, () => claim);
    expect(affordsNextRound(capped, ledger(...all.slice(1)))).toBe(true);
    expect(affordsNextRound(capped, ledger(...all))).toBe(false);
  });
});
