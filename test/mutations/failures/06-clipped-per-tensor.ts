import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 6,
  title: "the largest norm of a tensor is clipped, not the norm of all of them together",
  file: "coordinator/src/aggregation/grid-sum.ts",
  find: "return l2Norm(delta) *",
  replace: `const half = delta.length / 2;
  return Math.max(l2Norm(delta.subarray(0, half)), l2Norm(delta.subarray(half))) *`,
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
