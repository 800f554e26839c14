import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 17,
  title: "local noise for a sensitivity of C, where two deltas of a client are up to 2 C apart",
  file: "protocol/src/local-noise.ts",
  find: "const noise = noiseMultiplier * 2 * clippingNorm;",
  replace: "const noise = noiseMultiplier * clippingNorm;",
  tests: ["client-sdk/src/privacy/local-noise.test.ts"],
};
