import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 10,
  title: "the variance is passed where the standard deviation is meant",
  file: "coordinator/src/privacy/gaussian-mechanism.ts",
  find: "const radius = sumNoiseStddev * Math.sqrt(",
  replace: "const radius = sumNoiseStddev ** 2 * Math.sqrt(",
  tests: ["coordinator/src/privacy/gaussian-mechanism.test.ts"],
};
