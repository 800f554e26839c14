import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "the sampling that is accounted is what the task asks for, not what was done",
  file: "coordinator/src/round/release.ts",
  find: "const charge = chargeOf(spec, round.claim);",
  replace:
    'const charge = chargeOf(spec, spec.sampler.kind === "poisson" ? { kind: "poisson", samplingRate: spec.sampler.samplingRate } : { kind: "none" });',
  tests: ["coordinator/src/round/engine.test.ts"],
};
