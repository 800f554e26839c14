import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 4,
  title: "the noise shrinks with the clients that answered, seen from outside",
  file: "coordinator/src/round/release.ts",
  find: "const mechanism = mechanismOf(spec, aggregator.grid, deps.noise);",
  replace: `const share = aggregator.count / (spec.sampler.samplingRate * spec.sampler.population);
  const noiseStddevSteps = aggregator.grid.noiseStddevSteps * share;
  const mechanism = mechanismOf(spec, { ...aggregator.grid, noiseStddevSteps }, deps.noise);`,
  tests: ["test/audit/audit.test.ts"],
};
