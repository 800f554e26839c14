import crashers from "../vectors/crashers.json" with { type: "json" };
import { expect, test } from "vitest";

import { allTargets, fuzz } from "./run.ts";

test("[AT3] a sample of the fuzzing: every decoder accepts what is right or refuses with a code", async () => {
  const report = await fuzz({ cases: 25_000, seed: 20_261_125 });
  expect(report.crashers).toEqual([]);
  expect(report.cases).toBeGreaterThanOrEqual(25_000);
  for (const [name, { cases, accepted }] of Object.entries(report.targets)) {
    // A target that accepts nothing, or everything, tells nothing.
    expect(accepted, name).toBeGreaterThan(0);
    expect(accepted, name).toBeLessThan(cases);
  }
});

test("[AT4] what once crashed a decoder never does again", async () => {
  const targets = await allTargets();
  for (const { target: name, input } of crashers) {
    const found = targets.find((target) => target.name === name);
    expect(found, name).toBeDefined();
    expect(typeof (await found!.attempt(input as never)), JSON.stringify(input)).toBe("boolean");
  }
});
