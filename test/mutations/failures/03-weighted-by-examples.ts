import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 3,
  title: "a clipped delta counts as often as its sender has examples",
  file: "coordinator/src/aggregation/grid-sum.ts",
  find: "add: ({ delta, norm = normOf(delta) }) => {",
  replace:
    "add: ({ delta, numExamples, norm = normOf(delta) }) => {\n      const step = grid.step / numExamples;",
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
