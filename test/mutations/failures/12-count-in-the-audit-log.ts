import type { Mutant } from "../mutant.ts";

export const mutant: Mutant = {
  failure: 12,
  title: "the number of reports of a private round is written into the log that viewers read",
  file: "coordinator/src/storage/audit-facts.ts",
  find: "...(isPrivate(task) ? {} : { reported: reported.length }),",
  replace: "reported: reported.length,",
  tests: ["test/egress/egress.test.ts"],
};
