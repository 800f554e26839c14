import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 12,
  title: "the metrics of a private task are rendered whole for every scraper",
  file: "coordinator/src/http/routes/metrics.ts",
  find: 'isOperator ? "operator" : "anyone"',
  replace: 'isOperator || true ? "operator" : "anyone"',
  tests: ["test/egress/egress.test.ts"],
};
