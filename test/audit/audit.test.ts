import { readFileSync } from "node:fs";

import { beforeAll, expect, test } from "vitest";

import type { AuditReport } from "./audit.ts";
import { audit } from "./audit.ts";
import { epsilonLowerBound, probabilityBound } from "./one-run-bound.ts";
import { SAMPLE } from "./settings.ts";

interface Row {
  readonly canaries: number;
  readonly guesses: number;
  readonly correct: number;
  readonly delta: number;
  readonly errorRate: number;
  readonly epsilonLowerBound: number;
  readonly probabilityAtEpsilon1: number;
  readonly probabilityAtEpsilon3: number;
}
const vectors = JSON.parse(
  readFileSync(new URL("../vectors/one_run_audit.json", import.meta.url), "utf8"),
) as { readonly rows: readonly Row[] };

test("[EA1] the lower bound of a one-run audit agrees with its authors' formula over scipy's binomials", () => {
  for (const row of vectors.rows) {
    const told = JSON.stringify(row);
    const close = (value: number, expected: number) =>
      expect(Math.abs(value - expected) / Math.max(expected, 1e-300), told).toBeLessThan(1e-9);
    close(probabilityBound(row, 1, row.delta), row.probabilityAtEpsilon1);
    close(probabilityBound(row, 3, row.delta), row.probabilityAtEpsilon3);
    const bound = epsilonLowerBound(row, row.delta, row.errorRate);
    expect(Math.abs(bound - row.epsilonLowerBound), told).toBeLessThan(2e-6);
  }
});

let report: AuditReport;
beforeAll(async () => {
  report = await audit(SAMPLE);
});

test("[EA2] what the coordinator releases to canaries does not refute its epsilon", () => {
  expect(report.claimedEpsilon).toBeLessThan(4);
  expect(report.epsilonLowerBound, JSON.stringify(report)).toBeLessThanOrEqual(
    report.claimedEpsilon,
  );
});

test("[EA2] the audit is not blind: it shows that some epsilon is spent", () => {
  // By chance not so once in 10^8 runs: some 70 % of the guesses are right, and 58 % are enough.
  expect(report.epsilonLowerBound, JSON.stringify(report)).toBeGreaterThan(0);
});
