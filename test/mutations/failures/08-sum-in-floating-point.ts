import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 8,
  title: "deltas are added in floating point and rounded once, at the end",
  file: "coordinator/src/aggregation/kernel/plain.ts",
  find: "value + ROUNDER - ROUNDER;",
  replace: "value;",
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
