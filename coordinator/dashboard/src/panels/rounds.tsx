/** The rounds of a task, a page of them at a time: ten thousand rows are never in the document at once. */

import type { FederatedError as Fault } from "@tributary/protocol";
import { useComputed, useSignal } from "@preact/signals";

import { useApp } from "../app.ts";
import { asFault } from "../data/api.ts";
import type { RoundColumn, RoundHistory, RoundRow } from "../data/round-history.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import {
  bytesText,
  countText,
  dateText,
  decimalText,
  epsilonText,
  NOTHING,
  percentText,
  spanText,
} from "../model/format.ts";
import { ABANDON_WORDS, PHASE_WORDS } from "../model/words.ts";
import { Panel } from "../ui/panel.tsx";
import { FaultState, Withheld } from "../ui/states.tsx";

const ROWS = 25;

interface Column {
  readonly title: string;
  readonly text: (row: RoundRow) => string;
  /** Left out where no round has a value in it: not measured in this task, or withheld. */
  readonly needs?: RoundColumn;
  /** Left out on phones. */
  readonly wide?: true;
}

const COLUMNS: readonly Column[] = [
  { title: "Version", text: (row) => countText(row.modelVersion) },
  {
    title: "Reports",
    needs: "selected",
    text: ({ reported, selected }) =>
      Number.isNaN(selected) ? NOTHING : `${countText(reported)}/${countText(selected)}`,
  },
  { title: "Accuracy", needs: "accuracy", text: (row) => percentText(row.accuracy) },
  { title: "F1", needs: "macroF1", text: (row) => decimalText(row.macroF1), wide: true },
  { title: "Loss", needs: "loss", text: (row) => decimalText(row.loss), wide: true },
  {
    title: "Training loss",
    needs: "trainLoss",
    text: (row) => decimalText(row.trainLoss),
    wide: true,
  },
  { title: "ε so far", needs: "epsilon", text: (row) => epsilonText(row.epsilon) },
  {
    title: "Received",
    needs: "updateBytes",
    text: (row) => bytesText(row.updateBytes),
    wide: true,
  },
  { title: "Took", text: (row) => spanText(row.durationMs), wide: true },
  { title: "Ended", text: (row) => dateText(row.endedAt), wide: true },
];

export function RoundsPanel({ entry }: { readonly entry: TaskEntry }) {
  const { taskId, history, withheld } = entry;
  const { store } = useApp();
  /** The round at the top; undefined: the newest, whatever it is by then. */
  const top = useSignal<number | undefined>(undefined);
  const loading = useSignal(false);
  const fault = useSignal<Fault | undefined>(undefined);
  const first = useComputed(() => {
    history.follow();
    return Math.min(top.value ?? history.newest, history.newest);
  });
  const rows = useComputed(() => {
    history.follow();
    return rowsBelow(history, first.value);
  });
  const columns = useComputed(() => {
    history.follow();
    return COLUMNS.filter(({ needs }) => needs === undefined || history.last(needs) !== undefined)
      .map(({ title }) => title)
      .join();
  });
  const shown = COLUMNS.filter(({ title }) => columns.value.split(",").includes(title));

  const toOlder = async () => {
    const next = first.peek() - ROWS;
    loading.value = true;
    fault.value = undefined;
    try {
      if (next - ROWS < history.oldest) await store.loadRounds(taskId);
      top.value = next;
    } catch (error) {
      fault.value = asFault(error);
    }
    loading.value = false;
  };

  if (rows.value.length === 0) {
    return (
      <Panel title="Rounds" wide>
        <p class="soft">No round has been opened yet.</p>
      </Panel>
    );
  }
  const last = Math.max(1, first.value - ROWS + 1);
  return (
    <Panel title="Rounds" wide>
      {withheld.value && (
        <Withheld>
          How many clients took part, what they sent and how long each phase took is not shown, to
          protect them. The operator’s token shows it.
        </Withheld>
      )}
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Rounds, newest first">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Round</th>
              <th scope="col">Outcome</th>
              {shown.map(({ title, wide }) => (
                <th key={title} scope="col" class={wide ? "number wide-only" : "number"}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.value.map((row) => (
              <tr key={row.roundNumber}>
                <th scope="row">{countText(row.roundNumber)}</th>
                <td>
                  <Outcome row={row} />
                </td>
                {shown.map(({ title, text, wide }) => (
                  <td key={title} class={wide ? "number wide-only" : "number"}>
                    {text(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {fault.value !== undefined && (
        <FaultState
          title="Older rounds could not be loaded"
          fault={fault.value}
          onRetry={() => void toOlder()}
        />
      )}
      <div class="foot">
        <span class="soft small" role="status">
          {loading.value
            ? "Loading older rounds …"
            : `Rounds ${countText(last)}–${countText(first.value)} of ${countText(history.newest)}`}
        </span>
        <div class="row">
          <button
            type="button"
            class="button"
            disabled={first.value >= history.newest}
            onClick={() => {
              const newer = first.peek() + ROWS;
              top.value = newer >= history.newest ? undefined : newer;
            }}
          >
            Newer
          </button>
          <button
            type="button"
            class="button"
            disabled={last <= 1 || loading.value}
            onClick={() => void toOlder()}
          >
            Older
          </button>
        </div>
      </div>
    </Panel>
  );
}

function rowsBelow(history: RoundHistory, first: number): RoundRow[] {
  const rows: RoundRow[] = [];
  for (let n = first; n > first - ROWS && n >= history.oldest && n > 0; n--) {
    const row = history.row(n);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}

function Outcome({ row }: { readonly row: RoundRow }) {
  const { phase, reason } = row;
  if (phase === "committed") return <span class="pill pill-good">{PHASE_WORDS[phase]}</span>;
  if (phase !== "abandoned") return <span class="pill pill-running">{PHASE_WORDS[phase]}</span>;
  return (
    <>
      <span class="pill pill-bad">{PHASE_WORDS[phase]}</span>
      {reason !== undefined && <span class="small soft outcome">{ABANDON_WORDS[reason]}</span>}
    </>
  );
}
