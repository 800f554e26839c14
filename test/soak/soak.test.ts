import { expect, test } from "vitest";

import { faultsOf } from "./limits.ts";
import type { SoakReport, SoakSample } from "./soak.ts";
import { riseOf, slopeOf, soak } from "./soak.ts";

/** Half an update. In its first 200 rounds a process still warms up, by 5 to 15 KB a round. */
const MOST_BYTES_PER_ROUND = 20_000;

const sample = (round: number, changes: Partial<SoakSample> = {}): SoakSample => ({
  round,
  heapBytes: 50e6,
  externalBytes: 1e6,
  resources: { TCPSocketWrap: 10, Timeout: 5 },
  listeners: 3,
  ...changes,
});

test("[LR1] a sample of the long run: rounds leave no memory, handle, listener or socket behind", async () => {
  const report = await soak({ rounds: 120, clients: 8 });
  expect(faultsOf(report, MOST_BYTES_PER_ROUND)).toEqual([]);
  expect(report.samples.length).toBeGreaterThan(30);
});

test("[LR2] the judge of long runs sees a leak of a few KB a round through noise, and none where none is", () => {
  const noise = (i: number) => ((i * 7919) % 13) * 20_000;
  const rounds = Array.from({ length: 40 }, (_, i) => i * 25);
  const leaking = rounds.map((r, i) => sample(r, { heapBytes: 50e6 + 5000 * r + noise(i) }));
  expect(slopeOf(leaking)).toBeGreaterThan(4096);
  const flat = rounds.map((r, i) => sample(r, { heapBytes: 50e6 + noise(i) }));
  expect(Math.abs(slopeOf(flat))).toBeLessThan(1000);
  const timers = rounds.map((r, i) => sample(r, { resources: { Timeout: 5 + i + (i % 3) } }));
  expect(riseOf(timers).Timeout).toBeGreaterThan(10);
  expect(
    riseOf(rounds.map((r, i) => sample(r, { listeners: 3 + Math.floor(i / 4) }))).listeners,
  ).toBeGreaterThan(0);
  expect(riseOf(rounds.map((r, i) => sample(r, { resources: { Timeout: 5 + (i % 3) } })))).toEqual(
    {},
  );
  const report: SoakReport = {
    ...{ rounds: 10, clients: 1, committed: 9, abandoned: 1, durationSeconds: 1, samples: [] },
    ...{ bytesPerRound: 5000, risen: { Timeout: 3 }, leftOpen: { TCPSocketWrap: 1 } },
  };
  expect(faultsOf(report, 4096)).toHaveLength(4);
});
