import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 8,
  title: "the noise is measured by the norm before rounding to the grid",
  file: "coordinator/src/privacy/grid.ts",
  find: "noiseStddevSteps: noiseMultiplier * (roundedNorm / step),",
  replace: "noiseStddevSteps: noiseMultiplier * (clippingNorm / step),",
  tests: ["coordinator/src/privacy/grid.test.ts"],
};
