import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "a cohort of fixed size is accounted as if coins had drawn it",
  file: "coordinator/src/privacy/charge.ts",
  find: '    case "fixedSize":\n    case "none":\n      return 1;',
  replace: '    case "fixedSize":\n      return 0.01;\n    case "none":\n      return 1;',
  tests: ["coordinator/src/privacy/accountant.test.ts"],
};
