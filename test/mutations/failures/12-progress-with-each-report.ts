import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 12,
  title: "each report makes an event, and the numbers of events are seen by all",
  file: "coordinator/src/round/round-loop.ts",
  find: "if (!isPrivate(task)) progressDue ??= clock.after(PROGRESS_INTERVAL_MS, tellProgress);",
  replace: 'emitRound("round:progress");',
  tests: ["coordinator/src/round/engine.test.ts"],
};
