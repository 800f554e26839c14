import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 2,
  title: "the sum is divided by the number of clients that answered",
  file: "coordinator/src/round/release.ts",
  find: "const mechanism = mechanismOf(spec, aggregator.grid, deps.noise);",
  replace: `const schedule = { ...spec.schedule, minClients: aggregator.count };
  const answered = { ...spec, schedule, sampler: { kind: "all" } };
  const mechanism = mechanismOf(answered, aggregator.grid, deps.noise);`,
  tests: ["coordinator/src/round/release.test.ts"],
};
