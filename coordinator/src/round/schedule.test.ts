import type { Evaluation } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { resolveTaskSpec } from "../task/spec.ts";
import { endReason, nextMove, rulesOf } from "./schedule.ts";

const situation = {
  taskState: "running" as const,
  clientsWaiting: 1,
  now: 100,
  restUntil: 0,
  affordable: true,
};
const evaluation = (loss: number, accuracy?: number): Evaluation => ({
  source: "central",
  numExamples: 10,
  loss,
  ...(accuracy === undefined
    ? {}
    : { accuracy, macro: { precision: accuracy, recall: accuracy, f1: accuracy / 2 } }),
});

describe("schedule", () => {
  test("[SC1] a round opens when somebody waits, the rest is over and the budget covers it", () => {
    expect(nextMove(situation)).toEqual({ kind: "open" });
    expect(nextMove({ ...situation, clientsWaiting: 0 })).toEqual({ kind: "idle" });
    expect(nextMove({ ...situation, restUntil: 101 })).toEqual({ kind: "rest", until: 101 });
    expect(nextMove({ ...situation, taskState: "paused" })).toEqual({ kind: "idle" });
    expect(nextMove({ ...situation, taskState: "ended" })).toEqual({ kind: "idle" });
  });

  test("[SC2] a task that cannot afford another round ends before it, with or without clients", () => {
    const end = { kind: "end", reason: "privacyBudgetExhausted" };
    expect(nextMove({ ...situation, affordable: false })).toEqual(end);
    expect(nextMove({ ...situation, affordable: false, clientsWaiting: 0 })).toEqual(end);
  });

  test("[SC3] a task ends after maxRounds, or once the target metric is reached", () => {
    expect(endReason({ maxRounds: 3 }, 2, undefined)).toBeUndefined();
    expect(endReason({ maxRounds: 3 }, 3, undefined)).toBe("maxRoundsReached");
    const accuracy = { target: { metric: "accuracy", value: 0.9 } } as const;
    expect(endReason(accuracy, 1, evaluation(1, 0.89))).toBeUndefined();
    expect(endReason(accuracy, 1, evaluation(1, 0.9))).toBe("targetReached");
    expect(endReason(accuracy, 1, evaluation(1))).toBeUndefined();
    expect(endReason({ target: { metric: "macroF1", value: 0.4 } }, 1, evaluation(1, 0.9))).toBe(
      "targetReached",
    );
    expect(endReason({ target: { metric: "loss", value: 0.5 } }, 1, evaluation(0.5))).toBe(
      "targetReached",
    );
    expect(
      endReason({ target: { metric: "loss", value: 0.5 } }, 1, evaluation(0.6)),
    ).toBeUndefined();
    expect(endReason({}, 1e9, evaluation(0, 1))).toBeUndefined();
  });

  test("[DP26] under central noise who waits decides whether coins are thrown, and nothing else does", () => {
    const rules = (privacy: object, sampler: object) =>
      rulesOf(
        resolveTaskSpec({
          taskId: "t",
          model: { tensors: [{ name: "w", shape: [2] }] },
          clippingNorm: 1,
          weighting: { kind: "uniform" },
          schedule: { minClients: 300, minReports: 20 },
          privacy,
          sampler,
        }),
      );
    const noise = { noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 4 };
    const coins = { kind: "poisson", samplingRate: 0.1, population: 600 };
    const central = rules({ mechanism: "central", ...noise }, coins);
    expect(central).toMatchObject({ releasesAnyway: true, minWaiting: 200 });
    const all = rules({ mechanism: "central", ...noise }, { kind: "all" });
    expect(all).toMatchObject({ releasesAnyway: true, minWaiting: 20 });
    const rare = rules({ mechanism: "central", ...noise }, { ...coins, samplingRate: 1e-3 });
    expect(rare).toMatchObject({ releasesAnyway: true, minWaiting: 300 });
    for (const mechanism of ["none", "local"]) {
      const privacy = mechanism === "none" ? { mechanism } : { mechanism, ...noise, maxEpsilon: 8 };
      expect(rules(privacy, coins)).not.toHaveProperty("releasesAnyway");
    }
  });
});
