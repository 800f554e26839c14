import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 1,
  title: "the sampling that is accounted is what the task asks for, not what was done",
  file: "coordinator/src/round/release.ts",
  find: "affordableCharge(spec, round, ledger)",
  replace:
    'affordableCharge(spec, spec.sampler.kind === "poisson" ? { ...round, claim: { kind: "poisson", samplingRate: spec.sampler.samplingRate } } : round, ledger)',
  tests: ["coordinator/src/round/engine.test.ts"],
};
