import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 15,
  title: "a client may be in a step of a matrix run too early, or more often than it may",
  file: "coordinator/src/storage/rules.ts",
  find: "const early = known.filter((one) => stepsToWait(one, step, privacy) > 0).length;",
  replace: "const early = known.filter((one) => stepsToWait(one, step, privacy) < 0).length;",
  tests: ["test/conformance/store.test.ts"],
};
