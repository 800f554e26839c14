/** What a long run must not show. */

import type { SoakReport } from "./soak.ts";

/** @returns a line for each thing that leaks */
export function faultsOf(report: SoakReport, mostBytesPerRound: number): string[] {
  const { rounds, committed, abandoned, bytesPerRound, risen, leftOpen } = report;
  const faults: string[] = [];
  if (committed !== rounds || abandoned > 0) {
    faults.push(`${committed} of ${rounds} rounds were committed, ${abandoned} abandoned`);
  }
  if (bytesPerRound > mostBytesPerRound) {
    faults.push(
      `a round leaves ${bytesPerRound} bytes behind, at most ${mostBytesPerRound} may be`,
    );
  }
  for (const [kind, count] of Object.entries(risen))
    faults.push(`${count} more ${kind} at the end`);
  for (const [kind, count] of Object.entries(leftOpen)) faults.push(`${count} ${kind} left open`);
  return faults;
}
