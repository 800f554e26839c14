/** What a round of a robust rule holds in memory at most: every update as it came, and what it takes to compute. */

import type { RobustRule } from "@tributary/protocol";

import { pairCount } from "./kernel/robust.ts";

export interface RoundMemory {
  /** Updates that may be reported in a round. */
  readonly reports: number;
  /** Of one encoded update. */
  readonly updateBytes: number;
  readonly parameterCount: number;
}

/** A tile and its network, whatever the rule. */
const KERNEL_BYTES = 2 ** 21;

/** Bytes. */
export function robustRoundBytes(
  rule: RobustRule,
  { reports, updateBytes, parameterCount }: RoundMemory,
): number {
  const pairs = rule.kind === "krum" ? 8 * pairCount(reports) : 0;
  return reports * updateBytes + 8 * parameterCount + pairs + KERNEL_BYTES;
}
