import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 10,
  title: "the sampler multiplies by the variance",
  file: "coordinator/src/privacy/integer-noise.ts",
  find: "kernel.add(samples, stddev)",
  replace: "kernel.add(samples, stddev ** 2)",
  tests: ["coordinator/src/privacy/integer-noise.test.ts"],
};
