import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 7,
  title: "the uniform that makes the radius has 32 bits, and cuts the tail at 6.6 deviations",
  file: "coordinator/src/privacy/kernel/gaussian.ts",
  find: "const u = radiusHigh * 2 ** -32 + (radiusLow * 2 ** -64 + (spare * 2 ** -75 + 2 ** -76));",
  replace: "const u = (radiusHigh + 0.5) * 2 ** -32;",
  tests: ["coordinator/src/privacy/kernel/gaussian.test.ts"],
};
