import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 15,
  title: "a client of a matrix run is let in again before its separation has passed",
  file: "coordinator/src/round/participation.ts",
  find: "return Math.max(0, known.lastStep + minSeparation - step);",
  replace: "return Math.max(0, known.lastStep + minSeparation - 1 - step);",
  tests: ["coordinator/src/round/participation.test.ts"],
};
