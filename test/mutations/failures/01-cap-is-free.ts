import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "a cap on the cohort is accounted as if the coins alone had drawn it",
  file: "coordinator/src/privacy/charge.ts",
  find: 'if (claim.kind !== "truncatedPoisson") return release;',
  replace: 'if (claim.kind !== "truncatedPoisson" || claim.cap > 0) return release;',
  tests: ["coordinator/src/privacy/truncated.test.ts"],
};
