import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 14,
  title: "the filter looks at what was spent before the charge, not with it",
  file: "coordinator/src/privacy/odometer.ts",
  find: "if (!isWithin(next)) return false;",
  replace: "if (!isWithin(sums)) return false;",
  tests: ["coordinator/src/privacy/odometer.test.ts"],
};
