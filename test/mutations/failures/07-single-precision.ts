import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 7,
  title: "noise has the 24 bits of single precision",
  file: "coordinator/src/privacy/kernel/gaussian.ts",
  find: "const radius = Math.sqrt(logOf(u) * scale);",
  replace: "const radius = Math.fround(Math.sqrt(logOf(u) * scale));",
  tests: ["coordinator/src/privacy/kernel/gaussian.test.ts"],
};
