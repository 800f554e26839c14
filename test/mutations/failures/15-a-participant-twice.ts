import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 15,
  title: "the same client is twice in a step of a matrix run",
  file: "coordinator/src/storage/rules.ts",
  find: "if (new Set(participants).size !== participants.length) {",
  replace: "if (new Set(participants).size > participants.length) {",
  tests: ["test/conformance/store.test.ts"],
};
