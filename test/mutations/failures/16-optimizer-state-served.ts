import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 16,
  title: "the state of the server optimizer is served by its digest",
  file: "coordinator/src/model/registry.ts",
  find: "if (frame === undefined || !isCheckpointFrame(frame)) {",
  replace: "if (frame === undefined) {",
  tests: ["coordinator/src/model/registry.test.ts"],
};
