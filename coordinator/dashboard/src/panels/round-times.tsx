/** How long rounds took, phase by phase, which came to nothing and why, and what they received. */

import type { AbandonReason } from "@tributary/protocol";
import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { Line } from "../charts/chart.tsx";
import { Chart } from "../charts/chart.tsx";
import { lineStyle } from "../charts/line-styles.ts";
import type { Zoom } from "../charts/plot.tsx";
import type { HistoryTable } from "../data/long-history.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { useLongHistory } from "../data/use-long-history.ts";
import type { PhaseTimes } from "../model/phase-times.ts";
import { phaseTimes } from "../model/phase-times.ts";
import { curveOf } from "../model/curve.ts";
import { bytesText, counted, countText, spanText } from "../model/format.ts";
import { ABANDON_WORDS } from "../model/words.ts";
import { Panel } from "../ui/panel.tsx";
import { Withheld } from "../ui/states.tsx";

export function RoundTimesPanel({ entry }: { readonly entry: TaskEntry }) {
  const { table } = useLongHistory(entry).value;
  const zoom = useSignal<Zoom | undefined>(undefined);
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  if (table.length === 0) return null;
  return (
    <>
      <Times {...{ entry, table, zoom, hidden }} />
      <Received {...{ entry, table, zoom, hidden }} />
    </>
  );
}

interface PartProps {
  readonly entry: TaskEntry;
  readonly table: HistoryTable;
  readonly zoom: Signal<Zoom | undefined>;
  readonly hidden: Signal<ReadonlySet<string>>;
}

function Reset({ zoom }: Pick<PartProps, "zoom">) {
  if (zoom.value === undefined) return null;
  return (
    <button type="button" class="button" onClick={() => (zoom.value = undefined)}>
      Show all again
    </button>
  );
}

function Times({ entry, table, zoom, hidden }: PartProps) {
  const within = zoom.value;
  const times = useMemo(() => phaseTimes(table, within), [table, within]);
  const lines = useMemo(() => linesOf(times, hidden.value), [times, hidden.value]);
  return (
    <Panel title="How long rounds took" aside={<Reset zoom={zoom} />}>
      <Chart
        name="Duration"
        xName="round"
        xText={countText}
        yText={spanText}
        marks={times.abandoned}
        syncKey="rounds"
        fromZero
        {...{ lines, zoom, hidden }}
      />
      <p class="small soft">
        {times.perPlace > 1 &&
          `Areas are means of ${countText(times.perPlace)} rounds each, with the longest of them as a line. `}
        Drag over a stretch to look closer.
      </p>
      <Abandoned table={table} count={times.abandoned.length} />
      {entry.withheld.value && (
        <Withheld>
          How long single phases took is not shown, to protect the clients. The operator’s token
          shows it.
        </Withheld>
      )}
    </Panel>
  );
}

const PHASE_LINES = [
  ["selectingMs", "Selecting", 0],
  ["reportingMs", "Reporting", 1],
  ["aggregatingMs", "Aggregating", 3],
] as const;

/** Areas on top of one another: each line is drawn at the sum of those below it, the highest first. */
function linesOf(times: PhaseTimes, hidden: ReadonlySet<string>): Line[] {
  const { perPlace, total, longest } = times;
  const slowest: Line[] =
    perPlace === 1 ? [] : [{ key: "longest", label: "Longest", ...lineStyle(4), curve: longest }];
  if (!times.hasPhases) {
    return [{ key: "total", label: "Whole round", ...lineStyle(0), curve: total }, ...slowest];
  }
  const below: number[] = times.rounds.map(() => 0);
  const areas = PHASE_LINES.map(([key, label, look]) => {
    const own = times.phases[key];
    if (!hidden.has(key)) for (const [i, ms] of own.entries()) below[i] = (below[i] ?? 0) + ms;
    return {
      ...{ key, label, colour: lineStyle(look).colour, dash: [], isFilled: true },
      curve: { xs: times.rounds, ys: [...below] },
      values: { xs: times.rounds, ys: own },
    };
  });
  return [...areas.reverse(), ...slowest];
}

function Abandoned({ table, count }: { readonly table: HistoryTable; readonly count: number }) {
  const reasons = useMemo(() => {
    const counts = new Map<AbandonReason, number>();
    for (const reason of table.reasons) {
      if (reason !== null) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]);
  }, [table]);
  if (count === 0) return <p class="small soft">No round came to nothing.</p>;
  const told = reasons.map(([reason, times]) => `${ABANDON_WORDS[reason]} (${countText(times)})`);
  return (
    <p class="small soft">
      <span class="mark-cross" aria-hidden="true">
        ×
      </span>{" "}
      {counted(count, "round")} came to nothing{told.length > 0 ? `: ${told.join(", ")}` : ""}.
    </p>
  );
}

function Received({ entry, table, zoom }: PartProps) {
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const curve = useMemo(() => curveOf(table, "updateBytes", "round"), [table]);
  const total = useMemo(() => curve.ys.reduce<number>((sum, y) => sum + (y ?? 0), 0), [curve]);
  const lines = useMemo<Line[]>(
    () => [{ key: "bytes", label: "Updates", ...lineStyle(2), dash: [], curve }],
    [curve],
  );
  if (curve.xs.length === 0) {
    if (!entry.withheld.value) return null;
    return (
      <Panel title="What rounds received">
        <Withheld />
      </Panel>
    );
  }
  return (
    <Panel
      title="What rounds received"
      aside={<span class="small soft">{bytesText(total)} in all</span>}
    >
      <Chart
        name="Bytes of updates"
        xName="round"
        xText={countText}
        yText={bytesText}
        syncKey="rounds"
        fromZero
        {...{ lines, zoom, hidden }}
      />
    </Panel>
  );
}
