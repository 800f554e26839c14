import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 13,
  title: "a charge is void when its aggregation timed out, though noise was drawn",
  file: "coordinator/src/round/round-loop.ts",
  find: 'const keepCharge = reason === "aggregationFailed" || reason === "aggregationTimedOut";',
  replace: 'const keepCharge = reason === "aggregationFailed";',
  tests: ["coordinator/src/round/engine.test.ts"],
};
