/** Where a model version comes from: the round that made it, the version before, and what came to nothing between. */

import type { HistoryTable } from "../data/long-history.ts";

export interface LineageStep {
  readonly version: number;
  readonly roundNumber: number;
  readonly baseVersion: number;
  /** Rounds from the same base that were abandoned before it. */
  readonly abandoned: readonly number[];
}

/**
 * The chain from a version back to the one that nothing made, newest first, at most `most` steps. It ends where
 * rounds are not known any more.
 */
export function lineageOf(table: HistoryTable, version: number, most = Infinity): LineageStep[] {
  const { modelVersion, baseModelVersion, roundNumber } = table.columns;
  const steps: LineageStep[] = [];
  let wanted = version;
  let abandoned: number[] = [];
  let step: LineageStep | undefined;
  const close = () => {
    if (step !== undefined) steps.push({ ...step, abandoned: abandoned.reverse() });
    step = undefined;
    abandoned = [];
  };
  for (let i = table.length - 1; i >= 0; i--) {
    const base = baseModelVersion[i] as number;
    const number = roundNumber[i] as number;
    const made = modelVersion[i] ?? null;
    if (made === wanted) {
      close();
      if (steps.length >= most) return steps;
      step = { version: made, roundNumber: number, baseVersion: base, abandoned: [] };
      wanted = base;
    } else if (made === null && step !== undefined) {
      abandoned.push(number);
    }
  }
  close();
  return steps.slice(0, most);
}
