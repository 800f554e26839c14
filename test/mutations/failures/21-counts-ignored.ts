import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 21,
  title: "equal releases count once",
  file: "coordinator/src/privacy/accountant.ts",
  find: "total[i] = (total[i] as number) + release.count * rdp;",
  replace: "total[i] = (total[i] as number) + rdp;",
  tests: ["coordinator/src/privacy/pld.test.ts"],
};
