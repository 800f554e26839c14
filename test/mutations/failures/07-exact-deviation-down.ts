import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 7,
  title: "the exact sampler rounds the deviation down",
  file: "coordinator/src/privacy/discrete-gaussian.ts",
  find: "Math.ceil(stddev * 2 ** bits)",
  replace: "Math.floor(stddev * 2 ** bits)",
  tests: ["coordinator/src/privacy/discrete-gaussian.test.ts"],
};
