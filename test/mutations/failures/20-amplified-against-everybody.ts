import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 20,
  title: "amplification is claimed against whoever knows who took part",
  file: "coordinator/src/round/central-budget.ts",
  find: "epsilonOf(charges.map(asUnsampled), delta).epsilon",
  replace: "epsilonOf(charges, delta).epsilon",
  tests: ["coordinator/src/round/central-budget.test.ts"],
};
