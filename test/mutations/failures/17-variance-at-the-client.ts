import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 17,
  title: "a client passes the variance where the standard deviation is meant",
  file: "protocol/src/local-noise.ts",
  find: "noiseStddev: noise / step",
  replace: "noiseStddev: noise ** 2 / step",
  tests: ["client-sdk/src/privacy/local-noise.test.ts"],
};
