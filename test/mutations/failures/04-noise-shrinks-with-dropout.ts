import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 4,
  title: "the noise is that of the clients that answered, not of the task",
  file: "coordinator/src/round/release.ts",
  find: "const mechanism = mechanismOf(spec, aggregator.grid, deps.noise);",
  replace: `const share = aggregator.count / 10;
  const noiseStddevSteps = aggregator.grid.noiseStddevSteps * Math.sqrt(share);
  const mechanism = mechanismOf(spec, { ...aggregator.grid, noiseStddevSteps }, deps.noise);`,
  tests: ["coordinator/src/round/release.test.ts"],
};
