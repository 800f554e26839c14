import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 5,
  title: "min(1, C / NaN) is 1: what has no norm passes unclipped",
  file: "protocol/src/vector.ts",
  find: "if (!Number.isFinite(norm)) return Number.NaN;",
  replace: "if (!Number.isFinite(norm)) return 1;",
  tests: ["coordinator/src/aggregation/grid-sum.test.ts", "coordinator/src/round/release.test.ts"],
};
