import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "coins that somebody can throw again amplify",
  file: "coordinator/src/round/sampler.ts",
  find: 'seed === undefined ? claim : { kind: "none" };',
  replace: "seed === undefined ? claim : claim;",
  tests: ["coordinator/src/round/sampler.test.ts"],
};
