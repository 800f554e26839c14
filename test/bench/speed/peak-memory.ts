/** The most memory that this process has had since it was last asked to start over; from Linux, undefined elsewhere. */

import { readFileSync, writeFileSync } from "node:fs";

/** Forgets the peak so far (proc(5): clear_refs). */
export function resetPeak(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not here: `peakMb` knows nothing either, or the peak is that of the whole process.
  }
}

/** Resident, in MB (10^6 bytes). */
export function peakMb(): number | undefined {
  try {
    const kb = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    return kb === undefined ? undefined : (Number(kb) * 1_024) / 1e6;
  } catch {
    return undefined;
  }
}
