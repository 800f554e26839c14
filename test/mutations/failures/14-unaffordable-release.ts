import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 14,
  title: "the budget is looked at for the plan only, not for the round as it was drawn",
  file: "coordinator/src/round/budget.ts",
  find: "if (budget.affords(others, charge)) return charge;",
  replace: "if (others !== undefined) return charge;",
  tests: ["coordinator/src/round/engine.test.ts"],
};
