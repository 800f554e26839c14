/**
 * All ended rounds of one task as columns, for charts: loaded in a few large answers when somebody wants them,
 * then only what is new. What has ended never changes, so nothing is loaded twice.
 */

import type { FederatedError as Fault, TaskHistory, TaskId } from "@tributary/protocol";
import { routes } from "@tributary/protocol";
import type { ReadonlySignal } from "@preact/signals";
import { signal } from "@preact/signals";

import type { Api } from "./api.ts";
import { asFault } from "./api.ts";

/** Columns of numbers, in the API's words. */
export const HISTORY_COLUMNS = [
  "roundNumber",
  "baseModelVersion",
  "modelVersion",
  "openedAtMs",
  "endedAtMs",
  "selectingMs",
  "reportingMs",
  "aggregatingMs",
  "selected",
  "reported",
  "updateBytes",
  "clippingNorm",
  "trainLoss",
  "evaluatedVersion",
  "loss",
  "accuracy",
  "macroPrecision",
  "macroRecall",
  "macroF1",
  "epsilon",
] as const satisfies readonly (keyof TaskHistory)[];
export type HistoryColumnName = (typeof HISTORY_COLUMNS)[number];

/** Rounds one below the other, oldest first; null where a round has no value. */
export interface HistoryTable {
  readonly length: number;
  readonly columns: Readonly<Record<HistoryColumnName, readonly (number | null)[]>>;
  readonly reasons: NonNullable<TaskHistory["reason"]>;
}

export interface LongHistoryState {
  /** Grows in place; a state that is new says that it has. */
  readonly table: HistoryTable;
  /** The first load has come to its end. */
  readonly isWhole: boolean;
  readonly loading: boolean;
  /** Of the last attempt. */
  readonly fault: Fault | undefined;
}

export interface LongHistory {
  readonly state: ReadonlySignal<LongHistoryState>;
  /** So many rounds have ended: loads what is not there yet. Calls while it loads are one. */
  follow(endedRounds: number): void;
  /** Tries again after a fault. */
  retry(): void;
}

export interface LongHistoryDeps {
  readonly api: Pick<Api, "getJson">;
  /** Calls back once. */
  readonly after: (ms: number, run: () => void) => unknown;
}

/** Rounds may end every few milliseconds; eyes need no more. */
const REST_MS = 1000;

export function createLongHistory({ api, after }: LongHistoryDeps, taskId: TaskId): LongHistory {
  let table = emptyTable();
  const state = signal<LongHistoryState>({
    ...{ table, isWhole: false, loading: false, fault: undefined },
  });
  let ended = -1;
  let isBusy = false;
  let isResting = false;

  const lastRound = () => table.columns.roundNumber.at(-1) ?? 0;

  async function load(): Promise<void> {
    isBusy = true;
    state.value = { ...state.peek(), loading: true };
    const wanted = ended;
    try {
      // Fewer than are known: the coordinator goes on from older data, and its rounds are others.
      if (wanted < lastRound()) table = emptyTable();
      for (let isMore = true; isMore;) {
        const path = `${routes.history.path({ taskId })}?after=${lastRound()}`;
        const page = await api.getJson<TaskHistory>(path);
        append(table, page);
        isMore = page.next !== undefined;
        state.value = { ...state.peek(), table: { ...table } };
      }
      state.value = { table: { ...table }, isWhole: true, loading: false, fault: undefined };
    } catch (error) {
      state.value = { ...state.peek(), loading: false, fault: asFault(error) };
    }
    isBusy = false;
    isResting = true;
    after(REST_MS, () => {
      isResting = false;
      if (ended !== wanted) void load();
    });
  }

  return {
    state,
    follow: (endedRounds) => {
      if (endedRounds === ended) return;
      ended = endedRounds;
      if (!isBusy && !isResting) void load();
    },
    retry: () => {
      if (!isBusy) void load();
    },
  };
}

interface GrowingTable extends HistoryTable {
  length: number;
  readonly columns: Record<HistoryColumnName, (number | null)[]>;
  readonly reasons: NonNullable<TaskHistory["reason"]>[number][];
}

function emptyTable(): GrowingTable {
  const columns = Object.fromEntries(
    HISTORY_COLUMNS.map((name) => [name, [] as (number | null)[]]),
  ) as GrowingTable["columns"];
  return { length: 0, columns, reasons: [] };
}

/** A column that the page leaves out is one of nulls. */
function append(table: GrowingTable, page: TaskHistory): void {
  const { length } = page.roundNumber;
  for (let i = 0; i < length; i++) {
    for (const name of HISTORY_COLUMNS) table.columns[name].push(page[name]?.[i] ?? null);
    table.reasons.push(page.reason?.[i] ?? null);
  }
  table.length += length;
}
