import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 7,
  title: "noise is added as a floating-point number, off the grid",
  file: "coordinator/src/privacy/kernel/gaussian.ts",
  find: "+ nearest(noise);",
  replace: "+ noise;",
  tests: ["coordinator/src/privacy/kernel/gaussian.test.ts"],
};
