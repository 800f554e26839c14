import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 19,
  title: "under adaptively chosen charges the best order is picked afterwards, for free",
  file: "coordinator/src/privacy/odometer.ts",
  find: "const share = delta / (RDP_ORDERS.length * (j + 1) * (j + 2));",
  replace: "const share = delta + 0 * j;",
  tests: ["coordinator/src/privacy/odometer.test.ts"],
};
