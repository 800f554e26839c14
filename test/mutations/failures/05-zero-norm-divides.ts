import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 5,
  title: "a delta of norm zero is divided by its norm",
  file: "protocol/src/vector.ts",
  find: "return norm <= clippingNorm ? 1 : clippingNorm / norm;",
  replace: "return norm > 0 && norm <= clippingNorm ? 1 : (clippingNorm / norm) * (norm / norm);",
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
