import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 10,
  title: "the variance is passed where the standard deviation is meant",
  file: "coordinator/src/privacy/grid.ts",
  find: "noiseStddevSteps: noiseMultiplier * (roundedNorm / step),",
  replace: "noiseStddevSteps: noiseMultiplier ** 2 * (roundedNorm / step),",
  tests: ["coordinator/src/privacy/gaussian-mechanism.test.ts"],
};
