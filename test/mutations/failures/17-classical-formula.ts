import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 17,
  title: "local noise by the classical formula",
  file: "protocol/src/gaussian-curve.ts",
  find: "export function muOfGaussian(epsilon: number, delta: number): number {",
  replace:
    "export function muOfGaussian(epsilon: number, delta: number): number {\n  if (epsilon > 0) return epsilon / Math.sqrt(2 * Math.log(1.25 / delta));",
  tests: ["protocol/src/gaussian-curve.test.ts"],
};
