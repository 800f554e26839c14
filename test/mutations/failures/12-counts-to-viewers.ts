import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 12,
  title: "how many report and are refused is shown to whoever reads",
  file: "coordinator/src/events/monitoring-view.ts",
  find: 'participants: "withheld",',
  replace: 'participants: "shown",',
  tests: ["coordinator/src/events/monitoring-view.test.ts"],
};
