import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 16,
  title: "a version that was made and dropped is served by its digest",
  file: "coordinator/src/model/registry.ts",
  find: "if (!(await store.isReferenced(digest))) return undefined;\n    const frame",
  replace: "const frame",
  tests: ["coordinator/src/model/registry.test.ts"],
};
