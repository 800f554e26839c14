import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 16,
  title: "the state of the server optimizer is served by its digest",
  file: "coordinator/src/model/registry.ts",
  find: "return frame !== undefined && isCheckpointFrame(frame) ? frame : undefined;",
  replace: "return frame;",
  tests: ["coordinator/src/model/registry.test.ts"],
};
