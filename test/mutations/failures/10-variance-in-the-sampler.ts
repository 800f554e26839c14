import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 10,
  title: "the sampler multiplies by the variance",
  file: "coordinator/src/privacy/integer-noise.ts",
  find: "const radius = stddev * Math.sqrt(",
  replace: "const radius = stddev ** 2 * Math.sqrt(",
  tests: ["coordinator/src/privacy/integer-noise.test.ts"],
};
