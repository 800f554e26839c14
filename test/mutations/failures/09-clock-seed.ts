import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 9,
  title: "noise is drawn from a seed that the clock gives",
  file: "coordinator/src/privacy/random.ts",
  find: "fill: (target) => void randomFillSync(target),",
  replace: "fill: (target) => void target.fill(Date.now() % 256),",
  tests: ["coordinator/src/privacy/reach.test.ts"],
};
