/** Rounds as the columns of a task's history. Each is what whoever asks may see of it, and no more. */

import type { RoundPhase, RoundResource, TaskHistory } from "@tributary/protocol";

type Columns = Omit<TaskHistory, "taskId" | "next">;
type Cell = string | number | null;

const durationOf = (phase: RoundPhase) => (round: RoundResource) =>
  round.phases?.find((timing) => timing.phase === phase)?.durationMs;

/** What stands in each column; undefined where the round has none. */
const CELLS: {
  readonly [Name in keyof Required<Columns>]: (
    round: RoundResource,
  ) => NonNullable<Required<Columns>[Name][number]> | undefined;
} = {
  roundNumber: (round) => round.roundNumber,
  baseModelVersion: (round) => round.baseModelVersion,
  modelVersion: (round) => round.modelVersion,
  reason: (round) => round.reason,
  openedAtMs: (round) => Date.parse(round.openedAt),
  endedAtMs: (round) => Date.parse(round.endedAt ?? round.openedAt),
  selectingMs: durationOf("selecting"),
  reportingMs: durationOf("reporting"),
  aggregatingMs: durationOf("aggregating"),
  selected: (round) => round.participants?.selected,
  reported: (round) => round.participants?.reported,
  updateBytes: (round) => round.updateBytes,
  clippingNorm: (round) => round.clippingNorm,
  trainLoss: (round) => round.trainLoss,
  evaluatedVersion: (round) => round.evaluation?.modelVersion,
  loss: (round) => round.evaluation?.loss,
  accuracy: (round) => round.evaluation?.accuracy,
  macroPrecision: (round) => round.evaluation?.macro?.precision,
  macroRecall: (round) => round.evaluation?.macro?.recall,
  macroF1: (round) => round.evaluation?.macro?.f1,
  epsilon: (round) => round.epsilon,
};

/** There even without a round. */
const ALWAYS: ReadonlySet<string> = new Set<keyof Columns>([
  "roundNumber",
  "baseModelVersion",
  "modelVersion",
  "openedAtMs",
  "endedAtMs",
]);

export interface HistoryColumns {
  readonly length: number;
  add(round: RoundResource): void;
  /** By name, without those that hold nothing. */
  columns(): readonly (readonly [name: string, cells: readonly Cell[]])[];
}

export function createHistoryColumns(): HistoryColumns {
  const all = Object.entries(CELLS).map(([name, cell]) => ({
    ...{ name, cell },
    cells: [] as Cell[],
    isEmpty: !ALWAYS.has(name),
  }));
  let length = 0;
  return {
    get length() {
      return length;
    },
    add: (round) => {
      for (const column of all) {
        const value = column.cell(round) ?? null;
        if (value !== null) column.isEmpty = false;
        column.cells.push(value);
      }
      length += 1;
    },
    columns: () =>
      all.filter(({ isEmpty }) => !isEmpty).map(({ name, cells }) => [name, cells] as const),
  };
}
