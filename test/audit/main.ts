/**
 * `npm run audit:privacy -- --json`: audits the release of private tasks from outside, by canaries. Exit code 1
 * when a lower bound of epsilon is above what the coordinator claims, or says nothing.
 */

import { parseArgs } from "node:util";

import type { AuditReport } from "./audit.ts";
import { audit } from "./audit.ts";
import { FULL } from "./settings.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);
const { values } = parseArgs({ options: { json: { type: "boolean", default: false } } });

const reports: AuditReport[] = [];
for (const options of FULL) {
  const report = await audit(options);
  reports.push(report);
  if (!values.json) say(lineOf(report));
}
if (values.json) say(JSON.stringify(reports, null, 2));
if (reports.some(({ holds, epsilonLowerBound }) => !holds || epsilonLowerBound === 0)) {
  process.exitCode = 1;
}

function lineOf(report: AuditReport): string {
  const { noiseMultiplier, samplingRate, rounds, canaries, guesses, correct, seconds } = report;
  return [
    `z ${noiseMultiplier}, q ${samplingRate}, ${rounds} rounds`.padEnd(28),
    `${correct} of ${guesses} guesses right, of ${canaries} canaries`.padEnd(50),
    `${report.epsilonLowerBound.toFixed(3)} <= epsilon, claimed ${report.claimedEpsilon.toFixed(3)}`,
    `(delta ${report.delta}, error ${report.errorRate}, ${seconds.toFixed(1)} s)`,
    report.holds ? "holds" : "REFUTED",
  ].join("  ");
}
