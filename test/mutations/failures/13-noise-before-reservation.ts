import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 13,
  title: "noise is drawn before its charge is in the ledger",
  file: "coordinator/src/round/release.ts",
  find: "  await deps.store.reserveLedger({",
  replace: "  await mechanism.release(aggregator.sum());\n  await deps.store.reserveLedger({",
  tests: ["coordinator/src/round/release.test.ts"],
};
