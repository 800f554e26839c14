import type { TaskSpec } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { Fault } from "../config/schema.ts";
import { robustBytesOf, robustMemoryFault } from "./robust-memory.ts";
import { resolveTaskSpec } from "./spec.ts";

const least = {
  taskId: "digits",
  model: { tensors: [{ name: "w", shape: [1000] }] },
  sampler: { kind: "uniform", cohortSize: 10 },
} as const;
const central = { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 4 };

function faultsOf(input: unknown): string[] {
  try {
    resolveTaskSpec(input);
  } catch (error) {
    if (!isFederatedError(error)) throw error;
    return (error.details?.faults as Fault[]).map(({ path, message }) => `${path} ${message}`);
  }
  return [];
}

const RULES = [
  { kind: "median" },
  { kind: "trimmedMean", trim: 2 },
  { kind: "krum", byzantine: 2 },
  { kind: "geometricMedian" },
  { kind: "centredClipping", radius: 1 },
  { kind: "normBounding" },
] as const;
const named = RULES.map((rule) => [rule.kind, rule] as const);

describe("the aggregation of a task", () => {
  test("[RA1] is the mean by examples unless it is said, and counts all alike where it is robust", () => {
    expect(resolveTaskSpec(least)).toMatchObject({
      aggregation: { kind: "mean" },
      weighting: { kind: "byExamples" },
    });
    for (const aggregation of RULES) {
      expect(resolveTaskSpec({ ...least, aggregation }).weighting).toEqual({ kind: "uniform" });
    }
  });

  test.each([
    [{ kind: "krum", byzantine: 1 }, { select: 2 }, 5],
    [{ kind: "krum", byzantine: 2 }, { select: 3 }, 7],
    [{ kind: "geometricMedian" }, { iterations: 8, smoothing: 1e-6 }, 5],
    [{ kind: "centredClipping", radius: 3 }, { iterations: 5 }, 5],
    [{ kind: "normBounding" }, { factor: 1 }, 5],
    [{ kind: "trimmedMean", trim: 4 }, {}, 9],
    [{ kind: "median" }, {}, 5],
  ])("[RA1] %o gets %o, and %d reports are asked for", (aggregation, numbers, minReports) => {
    const spec = resolveTaskSpec({ ...least, aggregation });
    expect(spec.aggregation).toEqual({ ...aggregation, ...numbers });
    expect(spec.schedule.minReports).toBe(minReports);
    // Resolving a resolved task changes nothing.
    expect(resolveTaskSpec(spec)).toEqual(spec);
  });

  test.each(named)("[RA2] %s is refused under privacy, with the reason in words", (kind, rule) => {
    for (const privacy of [
      central,
      { mechanism: "local", noiseMultiplier: 3, delta: 1e-6, maxEpsilon: 8 },
      {
        ...{ mechanism: "matrix", noiseMultiplier: 1, delta: 1e-5, maxEpsilon: 5 },
        ...{ rounds: 40, minSeparation: 10, maxParticipations: 4 },
      },
    ]) {
      const faults = faultsOf({ ...least, aggregation: rule, privacy, clippingNorm: 0.5 });
      expect(faults).toHaveLength(1);
      expect(faults[0]).toMatch(
        new RegExp(
          `^aggregation.kind is "${kind}", while privacy.mechanism is "${privacy.mechanism}": .*noise.*; use "mean"$`,
        ),
      );
    }
  });

  test.each(named)(
    "[RA2] %s is refused with weights that clients could lie about",
    (kind, rule) => {
      const weighting = { kind: "byExamples", cap: 10 };
      expect(faultsOf({ ...least, aggregation: rule, weighting })).toEqual([
        `weighting.kind is "byExamples", while aggregation.kind is "${kind}": a client that lies about its examples would count for many; use "uniform"`,
      ]);
    },
  );

  test.each(named)(
    "[RA2] %s is refused where nothing bounds how many updates it keeps",
    (kind, rule) => {
      const faults = faultsOf({
        ...{ ...least, sampler: { kind: "all" }, aggregation: rule },
        schedule: { minClients: 10, minReports: 7 },
      });
      expect(faults).toEqual([
        expect.stringContaining(`sampler.kind is "all", while aggregation.kind is "${kind}"`),
      ]);
      const sampler = { kind: "poisson", samplingRate: 0.1, population: 5000 };
      expect(faultsOf({ ...least, sampler, aggregation: rule })).toEqual([
        `sampler allows 5000 reports in a round, while aggregation.kind is "${kind}", which takes at most 4096`,
      ]);
      expect(
        faultsOf({ ...least, sampler: { ...sampler, maxCohort: 600 }, aggregation: rule }),
      ).toEqual([]);
    },
  );

  test.each([
    [{ kind: "trimmedMean", trim: 3 }, 6, "aggregation.trim is 3, while schedule.minReports is 6"],
    [{ kind: "trimmedMean", trim: 3 }, 7, undefined],
    [
      { kind: "krum", byzantine: 2 },
      6,
      "aggregation.byzantine is 2, while schedule.minReports is 6",
    ],
    [{ kind: "krum", byzantine: 2 }, 7, undefined],
    [
      { kind: "krum", byzantine: 2, select: 4 },
      7,
      "aggregation.select is 4, while schedule.minReports is 7 and aggregation.byzantine 2: at most 3",
    ],
    [{ kind: "median" }, 2, 'schedule.minReports is 2, while aggregation.kind is "median"'],
    [{ kind: "geometricMedian" }, 2, "schedule.minReports is 2"],
    [{ kind: "centredClipping", radius: 1 }, 2, "schedule.minReports is 2"],
    [{ kind: "normBounding" }, 2, "schedule.minReports is 2"],
    [{ kind: "normBounding" }, 3, undefined],
  ])("[RA2] %o with %d reports: %s", (aggregation, minReports, fault) => {
    const faults = faultsOf({ ...least, aggregation, schedule: { minReports } });
    expect(faults).toEqual(fault === undefined ? [] : [expect.stringContaining(fault)]);
  });

  test("[RA2] a rule of no such kind, or without its numbers, is refused", () => {
    expect(faultsOf({ ...least, aggregation: { kind: "mode" } })[0]).toContain('"median"');
    expect(faultsOf({ ...least, aggregation: { kind: "trimmedMean" } })).toEqual([
      "aggregation.trim is required",
    ]);
    expect(faultsOf({ ...least, aggregation: { kind: "centredClipping" } })).toEqual([
      "aggregation.radius is required",
    ]);
    expect(faultsOf({ ...least, aggregation: { kind: "median", trim: 1 } })[0]).toContain(
      "unknown",
    );
  });

  test.each(named)("[RA2] %s is refused for updates that leave parameters out", (kind, rule) => {
    for (const encoding of ["topK", "randomK"]) {
      const plan = { encoding: { kind: encoding, fraction: 0.1, values: "int8" } };
      expect(faultsOf({ ...least, aggregation: rule, plan })).toEqual([
        expect.stringContaining(
          `plan.encoding.kind is "${encoding}", while aggregation.kind is "${kind}"`,
        ),
      ]);
    }
    for (const encoding of ["bfloat16", "int8", "int4"]) {
      expect(
        faultsOf({ ...least, aggregation: rule, plan: { encoding: { kind: encoding } } }),
      ).toEqual([]);
    }
  });

  test("[RA14] clients that lie about their evaluation cannot end a robust task", () => {
    const stop = { target: { metric: "accuracy", value: 0.9 } };
    const evaluation = { kind: "federated", numClasses: 10 };
    const task = { ...least, stop, evaluation };
    expect(faultsOf(task)).toEqual([]);
    expect(faultsOf({ ...task, aggregation: { kind: "median" } })).toEqual([
      expect.stringContaining(
        'stop.target.metric is "accuracy", while evaluation.kind is "federated"',
      ),
    ]);
  });
});

describe("the memory of robust rounds", () => {
  const spec = (more: object = {}) =>
    resolveTaskSpec({ ...least, aggregation: { kind: "median" }, ...more });
  const fault = (own: TaskSpec, others: readonly TaskSpec[], limit: number) =>
    robustMemoryFault(own, others, limit);

  test("[RA11] is every update of the largest cohort, and nothing for the mean", () => {
    expect(robustBytesOf(resolveTaskSpec(least))).toBe(0);
    const rest = robustBytesOf(spec()) - 10 * 4000;
    expect(rest).toBeGreaterThan(0);
    expect(rest).toBeLessThan(2 ** 22);
    const sampler = { kind: "uniform", cohortSize: 10, overSelection: 0.5 };
    expect(robustBytesOf(spec({ sampler })) - robustBytesOf(spec())).toBe(5 * 4000);
    const plan = { encoding: { kind: "int8" } };
    expect(robustBytesOf(spec()) - robustBytesOf(spec({ plan }))).toBe(10 * (4000 - 1004));
    expect(robustBytesOf(spec({ aggregation: { kind: "krum", byzantine: 1 } }))).toBe(
      robustBytesOf(spec()) + 8 * 45,
    );
  });

  test("[RA11] is refused above the limit, all tasks together, with the numbers named", () => {
    const own = robustBytesOf(spec());
    expect(fault(spec(), [], own)).toBeUndefined();
    expect(fault(spec(), [], own - 1)?.message).toMatch(
      new RegExp(
        `10 reports of 4000 bytes .* are ${own} bytes.* 0 of other tasks above limits.robustMemoryBytes of ${own - 1}`,
      ),
    );
    expect(fault(spec(), [spec(), resolveTaskSpec(least)], 2 * own)).toBeUndefined();
    expect(fault(spec(), [spec()], 2 * own - 1)?.path).toBe("aggregation.kind");
    expect(fault(resolveTaskSpec(least), [spec()], 1)).toBeUndefined();
  });
});
