import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 9,
  title: "noise takes a seed, as experiments do",
  file: "coordinator/src/privacy/integer-noise.ts",
  find: "kernel = openKernel(),",
  replace: "kernel = openKernel(), _seed = 1,",
  tests: ["coordinator/src/privacy/reach.test.ts"],
};
