import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 21,
  title: "a fractional Renyi order takes the next whole one's closed form",
  file: "coordinator/src/privacy/rdp.ts",
  find: "if (z >= SMALLEST_QUADRATURE_Z) return logOnePlusExp(integralExcess(q, z, order));",
  replace:
    "if (z >= SMALLEST_QUADRATURE_Z) return logOnePlusExp(binomialExcess(q, z, Math.ceil(order)));",
  tests: ["coordinator/src/privacy/accountant.test.ts"],
};
