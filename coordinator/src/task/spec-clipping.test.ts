import type { AdaptiveClipping } from "@tributary/protocol";
import { isFederatedError } from "@tributary/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Fault } from "../config/schema.ts";
import { deltaNoiseMultiplier } from "../privacy/adaptive-clipping.ts";
import { resolveTaskSpec } from "./spec.ts";

const poisson = { kind: "poisson", samplingRate: 0.1, population: 1000 };
const central = { mechanism: "central", noiseMultiplier: 1, delta: 1e-6, maxEpsilon: 4 };
const withClipping = (adaptiveClipping: object, overrides: object = {}) => ({
  taskId: "digits",
  model: { tensors: [{ name: "w", shape: [2, 3] }] },
  sampler: poisson,
  clippingNorm: 0.5,
  ...overrides,
  privacy: { ...central, adaptiveClipping },
});

function clippingOf(input: unknown): AdaptiveClipping {
  const { privacy } = resolveTaskSpec(input);
  if (privacy.mechanism !== "central" || privacy.adaptiveClipping === undefined) {
    throw new Error("adaptive clipping is lost");
  }
  return privacy.adaptiveClipping;
}

function faultsOf(input: unknown): string[] {
  try {
    resolveTaskSpec(input);
  } catch (error) {
    if (!isFederatedError(error)) throw error;
    const faults = error.details?.faults as Fault[];
    return faults.map(({ path, message }) => `${path} ${message}`);
  }
  throw new Error("the task was accepted");
}

describe("adaptive clipping in a task", () => {
  test("[AC5] asked for with nothing else it follows the median, with the numbers of its paper", () => {
    expect(clippingOf(withClipping({}))).toEqual({
      targetQuantile: 0.5,
      learningRate: 0.2,
      bitNoiseStddev: 5,
      minNorm: 0.0005,
      maxNorm: 500,
    });
  });

  test("[AC5] not asked for there is none", () => {
    const { privacy } = resolveTaskSpec({ ...withClipping({}), privacy: central });
    expect(privacy).not.toHaveProperty("adaptiveClipping");
  });

  test("[AC5] what is given stays, and resolving again changes nothing", () => {
    const given = {
      ...{ targetQuantile: 0.8, learningRate: 0.1, bitNoiseStddev: 7, minNorm: 0.1, maxNorm: 9 },
    };
    expect(clippingOf(withClipping(given))).toEqual(given);
    const spec = resolveTaskSpec(withClipping({ targetQuantile: 0.8 }));
    expect(resolveTaskSpec(spec)).toEqual(spec);
    expect(Object.isFrozen(clippingOf(spec))).toBe(true);
  });

  test("[AC5] the bits' noise follows from the expected reports, and never costs more than a round may", () => {
    const noiseOf = (sampler: object, schedule = {}) =>
      clippingOf(withClipping({}, { sampler, schedule })).bitNoiseStddev;
    expect(noiseOf({ kind: "poisson", samplingRate: 0.5, population: 1000 })).toBe(25);
    expect(noiseOf({ kind: "uniform", cohortSize: 200 })).toBe(10);
    expect(noiseOf({ kind: "all" }, { minClients: 60 })).toBe(3);
    // 0.05 of four reports would be 0.2, far below half of z.
    expect(noiseOf({ kind: "uniform", cohortSize: 4 })).toBe(1);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 1e-3, max: 100, noNaN: true }),
        (cohortSize, noiseMultiplier) => {
          const task = withClipping({}, { sampler: { kind: "uniform", cohortSize } });
          const privacy = { ...task.privacy, noiseMultiplier };
          const { bitNoiseStddev } = clippingOf({ ...task, privacy });
          const split = { noiseMultiplier, bitNoiseStddev };
          // The most that bits may cost by default: a root of 4 / 3.
          expect(deltaNoiseMultiplier(split) / noiseMultiplier).toBeLessThanOrEqual(1.1547005384);
        },
      ),
    );
  });

  test.each([
    ["targetQuantile", 0],
    ["targetQuantile", 1],
    ["learningRate", 0],
    ["learningRate", 1.1],
    ["bitNoiseStddev", 0],
    ["bitNoiseStddev", Infinity],
    ["minNorm", 0],
    ["minNorm", Number.NaN],
    ["maxNorm", 1e13],
    ["maxNorm", "big"],
    ["quantile", 0.5],
  ])("[AC5] a value out of its range is refused: %s of %s", (name, value) => {
    expect(faultsOf(withClipping({ [name]: value }))).toEqual([
      expect.stringMatching(new RegExp(`^privacy\\.adaptiveClipping\\.${name} `)),
    ]);
  });

  test("[AC5] numbers that cannot meet are refused with both values", () => {
    expect(faultsOf(withClipping({ bitNoiseStddev: 0.5 }))).toEqual([
      expect.stringMatching(
        /^privacy\.adaptiveClipping\.bitNoiseStddev is 0\.5, not above half of privacy\.noiseMultiplier of 1/,
      ),
    ]);
    expect(faultsOf(withClipping({ minNorm: 0.6, maxNorm: 0.4 }))).toEqual([
      expect.stringMatching(
        /^privacy\.adaptiveClipping\.minNorm is 0\.6, above clippingNorm of 0\.5/,
      ),
      expect.stringMatching(
        /^privacy\.adaptiveClipping\.maxNorm is 0\.4, below clippingNorm of 0\.5/,
      ),
    ]);
    // At a norm of 1 sums of so many clients would be exact, but not at every norm that a round may come to.
    const many = { kind: "poisson", samplingRate: 1e-8, population: 1.6e9 };
    const task = withClipping({}, { clippingNorm: 1, sampler: many });
    expect(faultsOf({ ...task, privacy: { ...task.privacy, delta: 1e-10 } })).toEqual([
      expect.stringMatching(
        /^privacy\.adaptiveClipping cannot be granted: .*sums of 1600000000 clients/,
      ),
    ]);
    expect(faultsOf(withClipping({}, { clippingNorm: undefined }))).toEqual([
      expect.stringMatching(/^clippingNorm is not set/),
    ]);
  });
});
