/** A drawing with what belongs to it: a legend to switch lines by, values under the cursor, and a table of the same. */

import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import type { Curve } from "../model/curve.ts";
import { aligned, summaryOf, withExtremes } from "../model/curve.ts";
import { NOTHING } from "../model/format.ts";
import type { Hover, PlotProps, PlotSeries } from "./plot.tsx";
import { Plot } from "./plot.tsx";

export interface Line extends Omit<PlotSeries, "isFaint"> {
  /** What a smoothed line was made from, drawn faintly behind it. */
  readonly raw?: Curve;
  /** What it says where that is not what it is drawn at: of areas on top of one another. Same places. */
  readonly values?: Curve;
}

/** What a line says, in its table and in words. */
const saysOf = ({ raw, values, curve }: Line): Curve => values ?? raw ?? curve;

export interface ChartProps extends Omit<PlotProps, "series" | "label" | "onHover"> {
  /** What it is of, as a beginning of a sentence: "Accuracy". */
  readonly name: string;
  readonly lines: readonly Line[];
  /** Keys of lines that are switched off; shared where charts show the same lines. */
  readonly hidden: Signal<ReadonlySet<string>>;
  /** "version", "round": what the axis counts. */
  readonly xName: string;
}

/** Rows of the table: enough to follow a curve. */
const TABLE_BUCKETS = 12;

export function Chart(props: ChartProps) {
  const { name, lines, hidden, xName, xText, yText, ...plot } = props;
  const hover = useSignal<Hover | undefined>(undefined);
  const isTableOpen = useSignal(false);
  const off = hidden.value;
  const shown = useMemo(() => lines.filter(({ key }) => !off.has(key)), [lines, off]);
  const series = useMemo<PlotSeries[]>(
    () => [
      ...shown.flatMap(({ raw, ...line }) =>
        raw === undefined ? [] : [{ ...line, key: `${line.key} raw`, curve: raw, isFaint: true }],
      ),
      ...shown,
    ],
    [shown],
  );
  const label = useMemo(() => saidOf(name, xName, shown, xText, yText), [name, xName, shown]);
  const toggle = (key: string) => {
    const next = new Set(off);
    if (!next.delete(key)) next.add(key);
    hidden.value = next;
  };
  return (
    <div class="chart">
      <ul class="chart-legend" aria-label={`Lines of ${name}`}>
        {lines.map((line) => (
          <li key={line.key}>
            <LegendEntry
              line={line}
              isShown={!off.has(line.key)}
              hover={hover}
              onToggle={() => toggle(line.key)}
              yText={yText}
            />
          </li>
        ))}
        <li class="chart-at soft small">
          <At hover={hover} text={(x) => `${xName} ${xText(x)}`} />
        </li>
      </ul>
      {shown.length === 0 ? (
        <p class="soft chart-empty">All lines are switched off.</p>
      ) : (
        <Plot
          {...plot}
          {...{ series, xText, yText }}
          label={label}
          onHover={(at) => (hover.value = at)}
        />
      )}
      <details class="small" onToggle={(event) => (isTableOpen.value = event.currentTarget.open)}>
        <summary class="soft">{name} as a table</summary>
        {isTableOpen.value && <Values lines={shown} {...{ name, xName, xText, yText }} />}
      </details>
    </div>
  );
}

function At({
  hover,
  text,
}: {
  readonly hover: Signal<Hover | undefined>;
  readonly text: (x: number) => string;
}) {
  return <span>{hover.value === undefined ? "" : text(hover.value.x)}</span>;
}

interface LegendEntryProps extends Pick<ChartProps, "yText"> {
  readonly line: Line;
  readonly isShown: boolean;
  readonly hover: Signal<Hover | undefined>;
  readonly onToggle: () => void;
}

function LegendEntry({ line, isShown, hover, onToggle, yText }: LegendEntryProps) {
  const { key, label, colour, dash, curve, values } = line;
  const at = hover.value;
  const current =
    at === undefined
      ? lastOf(values ?? curve)
      : values === undefined
        ? at.values.get(key)
        : valueAt(values, at.x);
  return (
    <button type="button" class="legend-entry" aria-pressed={isShown} onClick={onToggle}>
      <LineSwatch colour={colour} dash={dash} />
      <span>{label}</span>
      <span class="legend-value" aria-hidden="true">
        {!isShown || current === undefined ? "" : yText(current)}
      </span>
    </button>
  );
}

const lastOf = ({ ys }: Curve): number | undefined => ys.findLast((y) => y !== null) ?? undefined;

const valueAt = ({ xs, ys }: Curve, x: number): number | undefined =>
  ys[xs.indexOf(x)] ?? undefined;

/** A piece of the line: its colour and its strokes. */
export function LineSwatch({ colour, dash }: Pick<Line, "colour" | "dash">) {
  return (
    <svg class="line-swatch" viewBox="0 0 26 10" aria-hidden="true">
      <line
        x1="0"
        y1="5"
        x2="26"
        y2="5"
        class={colour.slice(2)}
        {...(dash.length > 0 ? { "stroke-dasharray": dash.join(" ") } : {})}
      />
    </svg>
  );
}

function saidOf(
  name: string,
  xName: string,
  lines: readonly Line[],
  xText: (x: number) => string,
  yText: (y: number) => string,
): string {
  const each = lines.map((line) => {
    const { label } = line;
    const summary = summaryOf(saysOf(line));
    if (summary === undefined) return `${label} has no values yet`;
    const { first, last, lastX, low, high, highX, count } = summary;
    return (
      `${label} goes from ${yText(first)} to ${yText(last)} at ${xName} ${xText(lastX)}, ` +
      `between ${yText(low)} and ${yText(high)} (${xName} ${xText(highX)}), over ${count} values`
    );
  });
  return `${name}: ${each.join("; ")}.`;
}

interface ValuesProps extends Pick<ChartProps, "name" | "xName" | "xText" | "yText"> {
  readonly lines: readonly Line[];
}

function Values({ lines, name, xName, xText, yText }: ValuesProps) {
  const { xs, rows, kept } = useMemo(() => {
    const all = aligned(lines.map(saysOf));
    return { ...all, kept: withExtremes(all.rows, all.xs.length, TABLE_BUCKETS) };
  }, [lines]);
  if (xs.length === 0) return <p class="soft">No values yet.</p>;
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label={`${name} as a table`}>
      <table class="table">
        <caption class="hidden-visually">
          {name}: first, last, and the lowest and highest of each stretch
        </caption>
        <thead>
          <tr>
            <th scope="col">{xName.charAt(0).toUpperCase() + xName.slice(1)}</th>
            {lines.map(({ key, label }) => (
              <th key={key} scope="col" class="number">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {kept.map((index) => (
            <tr key={index}>
              <th scope="row">{xText(xs[index] as number)}</th>
              {rows.map((row, i) => {
                const value = row[index] ?? null;
                return (
                  <td key={lines[i]?.key} class="number">
                    {value === null ? NOTHING : yText(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
