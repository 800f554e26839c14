import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "cohorts are drawn for nothing until one has enough reports",
  file: "coordinator/src/round/machine.ts",
  find: "releasesAnyway === true || count",
  replace: "count",
  tests: ["coordinator/src/round/machine.test.ts", "coordinator/src/round/engine.test.ts"],
};
