import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 8,
  title: "a delta is clipped by a norm that float64 has summed too small",
  file: "coordinator/src/aggregation/grid-sum.ts",
  find: "* (1 + (elements + 16) * ROUND_OFF)",
  replace: "* 1",
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
