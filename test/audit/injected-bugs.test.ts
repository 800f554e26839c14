import { expect, test } from "vitest";

import { judge } from "../mutations/judge.ts";
import { loadMutants } from "../mutations/mutant.ts";
import { openWorkshop } from "../mutations/workshop.ts";

test("[EA3] the audit refutes the claim when weights are not bounded, noise follows the answers, or a variance is taken for a deviation", async () => {
  const mutants = (await loadMutants()).filter(({ tests }) =>
    tests.includes("test/audit/audit.test.ts"),
  );
  expect(mutants.map(({ failure }) => failure)).toEqual([3, 4, 10]);
  await using workshop = await openWorkshop();
  const verdicts = await judge(workshop, mutants, { timeoutMs: 100_000 });
  for (const { name, outcome, because } of verdicts) {
    expect(outcome, `${name}: ${because.join("; ")}`).toBe("killed");
    // The claim is refuted, and nothing else is wrong.
    expect(because, name).toEqual([
      "[EA2] what the coordinator releases to canaries does not refute its epsilon",
    ]);
  }
});
