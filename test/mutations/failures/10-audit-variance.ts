import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 10,
  title: "the variance is passed where the standard deviation is meant, seen from outside",
  file: "coordinator/src/privacy/grid.ts",
  find: "noiseStddevSteps: noiseMultiplier * (roundedNorm / step),",
  replace: "noiseStddevSteps: (noiseMultiplier * roundedNorm) ** 2 / step,",
  tests: ["test/audit/audit.test.ts"],
};
