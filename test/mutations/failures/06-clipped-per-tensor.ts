import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 6,
  title: "the largest norm of a tensor is clipped, not the norm of all of them together",
  file: "coordinator/src/aggregation/grid-sum.ts",
  find: "const factor = clipFactor(atLeastNorm(norm, parameterCount), clippingNorm);",
  replace: `const half = Math.floor(parameterCount / 2);
      const normFrom = (from: number, to: number) =>
        normOf({ ...delta, parameterCount: to - from, payload: delta.payload.slice(4 * from, 4 * to) });
      const largest = Math.max(normFrom(0, half), normFrom(half, parameterCount));
      const factor = clipFactor(atLeastNorm(largest, parameterCount), clippingNorm);`,
  tests: ["coordinator/src/aggregation/grid-sum.test.ts"],
};
