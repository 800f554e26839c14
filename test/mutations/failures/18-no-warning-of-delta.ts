import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 18,
  title: "a delta that gives people away is not warned of",
  file: "coordinator/src/privacy/sampling-facts.ts",
  find: "population === undefined ? 1 : population ** -1.1",
  replace: "population === undefined ? 1 : 1 + 0 * population",
  tests: ["coordinator/src/privacy/sampling-facts.test.ts"],
};
