import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 9,
  title: "noise comes from a generator that is not cryptographic",
  file: "coordinator/src/privacy/random.ts",
  find: "fill: (target) => void randomFillSync(target),",
  replace: "fill: (target) => target.forEach((_, i) => (target[i] = Math.random() * 256)),",
  tests: ["coordinator/src/privacy/reach.test.ts"],
};
