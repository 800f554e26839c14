import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 23,
  title: "the noise of a matrix run is that of one release, without the sensitivity of its matrix",
  file: "coordinator/src/privacy/matrix/matrix-mechanism.ts",
  find: "const stddevSteps = grid.noiseStddevSteps * Math.sqrt(factorization.sensitivitySquared);",
  replace: "const stddevSteps = grid.noiseStddevSteps;",
  tests: ["coordinator/src/privacy/matrix/matrix-mechanism.test.ts"],
};
