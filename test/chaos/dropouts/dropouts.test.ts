import { expect, test } from "vitest";

import { scenarios } from "./scenarios.ts";
import { simulate } from "./simulation.ts";

const [GOAL, ROUNDS, SEED] = [40, 8, 1];

test.each(scenarios(GOAL).filter(({ announceUploads }) => announceUploads))(
  "[CH43] at 30 % drop-out rounds end in time and waste little finished work: $name",
  async (scenario) => {
    const finding = await simulate(scenario, ROUNDS, SEED);
    expect(finding).toMatchObject({ rounds: ROUNDS, committed: ROUNDS, onTime: ROUNDS });
    // The simulation does what it says.
    expect(finding.vanished).toBeGreaterThan(0.2);
    expect(finding.finished).toBeGreaterThan(ROUNDS * GOAL * 0.6);
    expect(finding.wastedShare).toBeLessThan(0.05);
  },
);

test("[CH43] without a last call more of it would be thrown away", async () => {
  const slow = scenarios(GOAL).filter(({ name }) => name.startsWith("goal, slow uplinks"));
  const [withCall, without] = await Promise.all(
    slow.map((scenario) => simulate(scenario, ROUNDS, SEED)),
  );
  expect(without!.wastedShare).toBeGreaterThan(1.5 * withCall!.wastedShare);
});
