/** Durations of rounds and their phases as they are drawn: of thousands of rounds means, and the longest. Pure. */

import type { HistoryTable } from "../data/long-history.ts";
import type { Curve } from "./curve.ts";

const PHASES = ["selectingMs", "reportingMs", "aggregatingMs"] as const;
export type PhaseColumn = (typeof PHASES)[number];

export interface PhaseTimes {
  /** How many rounds a place stands for; 1 where each has its own. */
  readonly perPlace: number;
  /** Rounds at which something is drawn: all, or the last one of each stretch. */
  readonly rounds: readonly number[];
  /** Are single phases known? Under privacy they are the operator's. */
  readonly hasPhases: boolean;
  /** Mean milliseconds of each phase; a phase that was not reached took none. */
  readonly phases: Readonly<Record<PhaseColumn, readonly number[]>>;
  /** Of whole rounds, likewise: their phases or, where those are not known, from open to end. */
  readonly total: Curve;
  /** The longest round of each stretch, at its own place. */
  readonly longest: Curve;
  /** All rounds that were abandoned. */
  readonly abandoned: readonly number[];
}

/** Areas of more places than pixels would be one blot. */
const MOST_PLACES = 240;

/** @param within only rounds with numbers from `min` to `max`; of fewer rounds more is seen */
export function phaseTimes(
  table: HistoryTable,
  within: { readonly min: number; readonly max: number } | undefined,
  mostPlaces = MOST_PLACES,
): PhaseTimes {
  const { columns, length } = table;
  const { roundNumber } = columns;
  const hasPhases = PHASES.some((phase) => columns[phase].some((value) => value !== null));
  const totalOf = (i: number) =>
    hasPhases
      ? PHASES.reduce((sum, phase) => sum + (columns[phase][i] ?? 0), 0)
      : (columns.endedAtMs[i] ?? 0) - (columns.openedAtMs[i] ?? 0);
  const seen: number[] = [];
  for (let i = 0; i < length; i++) {
    const round = roundNumber[i] ?? 0;
    if (within === undefined || (round >= within.min && round <= within.max)) seen.push(i);
  }
  const perPlace = Math.max(1, Math.ceil(seen.length / mostPlaces));
  const rounds: number[] = [];
  const totals: number[] = [];
  const longest = { xs: [] as number[], ys: [] as number[] };
  const phases: Record<PhaseColumn, number[]> = {
    ...{ selectingMs: [], reportingMs: [], aggregatingMs: [] },
  };
  for (let from = 0; from < seen.length; from += perPlace) {
    const stretch = seen.slice(from, from + perPlace);
    const mean = (of: (i: number) => number) =>
      stretch.reduce((sum, i) => sum + of(i), 0) / stretch.length;
    rounds.push(roundNumber[stretch.at(-1) ?? 0] ?? 0);
    totals.push(mean(totalOf));
    for (const phase of PHASES) phases[phase].push(mean((i) => columns[phase][i] ?? 0));
    const slowest = stretch.reduce((best, i) => (totalOf(i) > totalOf(best) ? i : best));
    longest.xs.push(roundNumber[slowest] ?? 0);
    longest.ys.push(totalOf(slowest));
  }
  return {
    ...{ perPlace, rounds, hasPhases, phases, longest },
    total: { xs: rounds, ys: totals },
    abandoned: columns.modelVersion.flatMap((made, i) =>
      made === null ? [roundNumber[i] ?? 0] : [],
    ),
  };
}
