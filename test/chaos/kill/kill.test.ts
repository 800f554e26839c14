import { expect, test } from "vitest";

import { runCampaign } from "./campaign.ts";
import { manyKills, roundKills, sampleKills } from "./plan.ts";
import { KILL_POINTS, TRANSACTIONS } from "./points.ts";

/** A start takes one or two seconds; on a machine that is busy with other tests many more. */
const START_MS = 30_000;

test("[CH1] a coordinator killed at every persisted transition and in every phase loses nothing and counts nothing twice", async () => {
  const kills = sampleKills(1);
  const report = await runCampaign(kills, 1);
  expect(report.violations).toEqual([]);
  expect(report.kills).toBe(kills.length);
  expect(report.recoveryMs.max).toBeLessThan(START_MS);
  // It did go on in between.
  expect(report.versions).toBeGreaterThan(4);
  expect(report.trainings).toBeGreaterThan(16);
}, 600_000);

test("[CH3] rounds of encoded updates, of a robust rule and of a matrix run lose nothing and count nothing twice", async () => {
  const kills = roundKills(2);
  const report = await runCampaign(kills, 2, undefined, "encoded");
  expect(report.violations).toEqual([]);
  expect(report.kills).toBe(kills.length);
  expect(report.versions).toBeGreaterThan(9);
}, 600_000);

test("[CH2] the sample kills at each transaction once, the full run before and after each", () => {
  const pointsOf = (kills: readonly { kind: string; point?: string }[]) =>
    new Set(kills.flatMap(({ point }) => point ?? []));
  const sample = pointsOf(sampleKills(1));
  for (const name of TRANSACTIONS) {
    expect([...sample].filter((point) => point.startsWith(`sql.${name}.`))).toHaveLength(1);
  }
  expect([...pointsOf(manyKills(200, 1))].sort()).toEqual([...KILL_POINTS].sort());
});
