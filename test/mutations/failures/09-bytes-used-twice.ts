import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 9,
  title: "the same random bytes make the noise of two elements",
  file: "coordinator/src/privacy/integer-noise.ts",
  find: "random.fill(kernel.random.subarray(0, samples * BYTES_PER_SAMPLE));",
  replace: "random.fill(kernel.random.subarray(0, 64));",
  tests: ["coordinator/src/privacy/integer-noise.test.ts"],
};
