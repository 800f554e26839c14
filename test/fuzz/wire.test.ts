import { expect, test } from "vitest";

import { attackWire } from "./attack-wire.ts";

test("[AT10] a sample of the wire fuzzed: the process lives, answers no 500, takes no bad update, and honest rounds go on", async () => {
  const attack = await attackWire(2_000, 20_261_125);
  expect(attack.faults).toEqual([]);
  expect(attack.errors).toEqual([]);
  expect(attack.alive).toBe(true);
  expect(attack.cases).toBeGreaterThanOrEqual(2_000);
  // Both honest clients add 1 in every round, and nobody else anything.
  expect(attack.honestRounds).toBeGreaterThan(0);
  expect(attack.weights).toEqual(attack.weights.map(() => attack.honestRounds));
  expect(attack.after.rssMegabytes - attack.before.rssMegabytes).toBeLessThan(150);
  // It was spoken to, and not only refused at the door.
  for (const status of ["200", "400", "401", "404", "422", "accepted"]) {
    expect(Object.keys(attack.answers)).toContain(status);
  }
}, 300_000);
