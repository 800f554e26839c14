/** How a task learns: accuracy, loss and F1 over versions, rounds or time, other tasks laid over it. */

import type { TaskId } from "@tributary/protocol";
import type { Signal } from "@preact/signals";
import { computed, signal, useComputed, useSignal } from "@preact/signals";
import { useId, useMemo } from "preact/hooks";

import { useApp } from "../app.ts";
import type { Line } from "../charts/chart.tsx";
import { Chart, LineSwatch } from "../charts/chart.tsx";
import { lineStyle } from "../charts/line-styles.ts";
import type { Zoom } from "../charts/plot.tsx";
import type { HistoryColumnName, HistoryTable } from "../data/long-history.ts";
import type { TaskEntry } from "../data/task-entry.ts";
import { longHistoryOf, useLongHistory } from "../data/use-long-history.ts";
import type { Abscissa } from "../model/curve.ts";
import { curveOf, smoothed } from "../model/curve.ts";
import { countText, decimalText, percentText, wholeSpanText } from "../model/format.ts";
import { Panel } from "../ui/panel.tsx";
import { FaultState, Skeleton } from "../ui/states.tsx";

/** How the reader likes to look, kept while the page lives. */
const over = signal<Abscissa>("version");
const smoothing = signal(0);
/** Tasks laid over, by the task that they are laid over. */
const compared = signal<ReadonlyMap<TaskId, readonly TaskId[]>>(new Map());
const comparedWith = (taskId: TaskId) => computed(() => compared.value.get(taskId) ?? []);

const OVER_WORDS: Readonly<Record<Abscissa, string>> = {
  version: "Versions",
  round: "Rounds",
  time: "Time",
};
const X_NAMES: Readonly<Record<Abscissa, string>> = {
  version: "version",
  round: "round",
  time: "after",
};
/** Most of what came before that a smoothed value may keep. */
const MOST_SMOOTHING = 0.99;

export function CurvesPanel({ entry }: { readonly entry: TaskEntry }) {
  const { store, api } = useApp();
  const history = useLongHistory(entry);
  const others = useComputed(() =>
    comparedWith(entry.taskId)
      .value.map((taskId) => store.entry(taskId))
      .filter((other) => other !== undefined),
  );
  const zoom = useSignal<Zoom | undefined>(undefined);
  const hidden = useSignal<ReadonlySet<string>>(new Set());
  const { isWhole, fault, table } = history.value;
  if (!isWhole && table.length === 0) {
    return fault === undefined ? (
      <Skeleton lines={8} label="Loading the rounds" />
    ) : (
      <FaultState
        title="The rounds could not be loaded"
        fault={fault}
        onRetry={longHistoryOf(entry, api).retry}
      />
    );
  }
  if (table.length === 0) {
    return (
      <Panel title="Learning curves" wide>
        <p class="soft">No round has ended yet. Curves begin with the first one.</p>
      </Panel>
    );
  }
  return (
    <>
      {others.value.map((other) => (
        <Follow key={other.taskId} entry={other} />
      ))}
      <Controls entry={entry} zoom={zoom} others={others.value} />
      <Curves entries={[entry, ...others.value]} zoom={zoom} hidden={hidden} />
    </>
  );
}

/** Loads the history of a task that is laid over. */
function Follow({ entry }: { readonly entry: TaskEntry }) {
  useLongHistory(entry);
  return null;
}

interface ControlsProps {
  readonly entry: TaskEntry;
  readonly others: readonly TaskEntry[];
  readonly zoom: Signal<Zoom | undefined>;
}

function Controls({ entry, others, zoom }: ControlsProps) {
  const { store } = useApp();
  const id = useId();
  const { taskId } = entry;
  const chosen = others.map((other) => other.taskId);
  const rest = (store.tasks.value ?? []).filter(
    (other) => other !== entry && !chosen.includes(other.taskId),
  );
  const set = (ids: readonly TaskId[]) => {
    compared.value = new Map(compared.value).set(taskId, ids);
  };
  return (
    <Panel title="Learning curves" wide aside={<Loaded entry={entry} />}>
      <div class="row chart-controls">
        <fieldset class="chips">
          <legend class="hidden-visually">Drawn over</legend>
          {(Object.keys(OVER_WORDS) as Abscissa[]).map((name) => (
            <button
              key={name}
              type="button"
              class="chip"
              aria-pressed={over.value === name}
              onClick={() => {
                over.value = name;
                zoom.value = undefined;
              }}
            >
              {OVER_WORDS[name]}
            </button>
          ))}
        </fieldset>
        <div class="row">
          <label for={`${id}-smoothing`} class="small soft">
            Smoothing
          </label>
          <input
            id={`${id}-smoothing`}
            class="slider"
            type="range"
            min="0"
            max={MOST_SMOOTHING}
            step="0.01"
            value={smoothing}
            onInput={(event) => (smoothing.value = event.currentTarget.valueAsNumber)}
          />
          <output for={`${id}-smoothing`} class="small slider-value">
            {smoothing.value.toFixed(2)}
          </output>
        </div>
        {rest.length > 0 && (
          <select
            class="input"
            aria-label="Lay another task over it"
            value=""
            onChange={(event) => {
              const { value } = event.currentTarget;
              if (value !== "") set([...chosen, value as TaskId]);
              event.currentTarget.value = "";
            }}
          >
            <option value="">Compare with …</option>
            {rest.map((other) => (
              <option key={other.taskId} value={other.taskId}>
                {other.taskId}
              </option>
            ))}
          </select>
        )}
        {zoom.value !== undefined && (
          <button type="button" class="button row-end" onClick={() => (zoom.value = undefined)}>
            Show all again
          </button>
        )}
      </div>
      {chosen.length > 0 && (
        <ul class="row" aria-label="Tasks that are compared">
          {[taskId, ...chosen].map((name, i) => (
            <li key={name} class="run">
              <LineSwatch {...lineStyle(i)} />
              <span>{name}</span>
              {i > 0 && (
                <button
                  type="button"
                  class="run-remove"
                  aria-label={`Leave ${name} away`}
                  onClick={() => set(chosen.filter((other) => other !== name))}
                >
                  ×
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      <p class="small soft">
        Drag over a stretch to look closer; a double click shows all again. Lines are switched by
        their names.
      </p>
    </Panel>
  );
}

function Loaded({ entry }: { readonly entry: TaskEntry }) {
  const { value } = useLongHistory(entry);
  const { table, isWhole, fault } = value;
  if (fault !== undefined)
    return <span class="small error-text">New rounds could not be loaded</span>;
  return (
    <span class="small soft">
      {countText(table.length)} rounds{isWhole ? "" : " so far …"}
    </span>
  );
}

interface CurvesProps {
  readonly entries: readonly TaskEntry[];
  readonly zoom: Signal<Zoom | undefined>;
  readonly hidden: Signal<ReadonlySet<string>>;
}

interface ChartPlan {
  readonly name: string;
  /** The first is the one that tasks are compared by. */
  readonly columns: readonly (readonly [HistoryColumnName, string])[];
  readonly yText: (y: number) => string;
  readonly yTick: (y: number) => string;
}

const share = (y: number) => percentText(y, 1);
const shareTick = (y: number) =>
  percentText(y, Number.isInteger(Math.round(1e6 * y) / 1e4) ? 0 : 1);
const plain = (y: number) => decimalText(y, 3);
const plainTick = (y: number) => String(Number(y.toPrecision(6)));
const PLANS: readonly ChartPlan[] = [
  { name: "Accuracy", columns: [["accuracy", "Accuracy"]], yText: share, yTick: shareTick },
  {
    name: "Loss",
    columns: [
      ["loss", "Evaluation"],
      ["trainLoss", "Training"],
    ],
    yText: plain,
    yTick: plainTick,
  },
  {
    name: "Macro F1",
    columns: [
      ["macroF1", "F1"],
      ["macroPrecision", "Precision"],
      ["macroRecall", "Recall"],
    ],
    yText: plain,
    yTick: plainTick,
  },
];

function Curves({ entries, zoom, hidden }: CurvesProps) {
  const { api } = useApp();
  // Their states are new with each change.
  const all = entries.map((entry) => {
    const { table } = longHistoryOf(entry, api).state.value;
    return { taskId: entry.taskId, table };
  });
  const charts = PLANS.map((plan) => ({ plan, runs: all })).filter(({ plan, runs }) =>
    runs.some(({ table }) => plan.columns.some(([column]) => hasValues(table, column))),
  );
  if (charts.length === 0) {
    return (
      <Panel title="Nothing to draw" wide>
        <p class="soft">
          No round has been judged: the task has no evaluation, and what clients report of their
          training is not shown.
        </p>
      </Panel>
    );
  }
  return charts.map(({ plan, runs }, i) => (
    <Panel key={plan.name} title={plan.name} wide={charts.length % 2 === 1 && i === 0}>
      <CurveChart {...{ plan, runs, zoom, hidden }} tall={charts.length % 2 === 1 && i === 0} />
    </Panel>
  ));
}

interface Run {
  readonly taskId: TaskId;
  readonly table: HistoryTable;
}

interface CurveChartProps extends Omit<CurvesProps, "entries"> {
  readonly plan: ChartPlan;
  readonly runs: readonly Run[];
  readonly tall: boolean;
}

function CurveChart({ plan, runs, zoom, hidden, tall }: CurveChartProps) {
  const abscissa = over.value;
  const weight = smoothing.value;
  const lines = useMemo(
    () => linesOf(plan, runs, abscissa, weight),
    [plan, abscissa, weight, ...runs.map(({ table }) => table)],
  );
  return (
    <Chart
      name={plan.name}
      xName={X_NAMES[abscissa]}
      xText={abscissa === "time" ? (x) => wholeSpanText(1000 * x) : countText}
      yText={plan.yText}
      yTick={plan.yTick}
      isTime={abscissa === "time"}
      syncKey="curves"
      height={tall ? 300 : 230}
      {...{ lines, zoom, hidden }}
    />
  );
}

/** One task shows all that a chart has of it; several are compared by its first column that they have. */
function linesOf(
  plan: ChartPlan,
  runs: readonly Run[],
  abscissa: Abscissa,
  weight: number,
): Line[] {
  const [only] = runs;
  const wanted =
    runs.length === 1 && only !== undefined
      ? plan.columns.map(([column, label]) => ({ key: column, label, column, run: only }))
      : runs.flatMap((run) => {
          const found = plan.columns.find(([column]) => hasValues(run.table, column));
          return found === undefined
            ? []
            : [{ key: run.taskId, label: run.taskId, column: found[0], run }];
        });
  return wanted.flatMap(({ key, label, column, run }, i) => {
    const raw = curveOf(run.table, column, abscissa);
    if (raw.xs.length === 0) return [];
    // The look of a task is the same in each chart.
    const style = lineStyle(runs.length === 1 ? i : runs.indexOf(run));
    const curve = weight === 0 ? raw : { xs: raw.xs, ys: smoothed(raw.ys, weight) };
    return [{ key, label, ...style, curve, ...(weight === 0 ? {} : { raw }) }];
  });
}

const hasValues = ({ columns }: HistoryTable, column: HistoryColumnName): boolean =>
  columns[column].some((value) => value !== null);
