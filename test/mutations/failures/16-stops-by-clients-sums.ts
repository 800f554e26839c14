import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 16,
  title: "a private task is judged, and stopped, by exact sums of its clients",
  file: "coordinator/src/task/spec-rules.ts",
  find: 'if (privacy.mechanism === "none" || evaluation.kind !== "federated") return;',
  replace: "if (evaluation !== undefined) return;",
  tests: ["coordinator/src/task/spec.test.ts"],
};
