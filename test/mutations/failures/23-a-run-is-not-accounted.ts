import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 23,
  title: "a matrix run has no epsilon",
  file: "coordinator/src/round/matrix-budget.ts",
  find: "epsilonOfGaussian(1 / noiseMultiplier, delta);",
  replace: "0 * epsilonOfGaussian(1 / noiseMultiplier, delta);",
  tests: ["coordinator/src/task/spec.test.ts"],
};
