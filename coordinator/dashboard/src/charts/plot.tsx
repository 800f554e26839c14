/** One drawing of curves with uPlot: sized by its place, coloured by the theme, read by mouse, touch and keys. */

import "uplot/dist/uPlot.min.css";

import type { Signal } from "@preact/signals";
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { useApp } from "../app.ts";
import type { Curve } from "../model/curve.ts";
import { aligned } from "../model/curve.ts";

export interface PlotSeries {
  readonly key: string;
  readonly label: string;
  readonly curve: Curve;
  readonly colour: `--${string}`;
  /** Lengths of strokes and gaps in pixels; none for a line without gaps. */
  readonly dash: readonly number[];
  /** Faint, and not read by the cursor: what a smoothed curve was made from. */
  readonly isFaint?: boolean;
  /** Filled down to the axis. */
  readonly isFilled?: boolean;
}

/** The part of the axis that is shown; all of it where there is none. */
export interface Zoom {
  readonly min: number;
  readonly max: number;
}

export interface PlotProps {
  /** What a screen reader says of the whole drawing. */
  readonly label: string;
  readonly series: readonly PlotSeries[];
  readonly zoom: Signal<Zoom | undefined>;
  /** Drawings of one key move their cursors together. */
  readonly syncKey: string;
  readonly xText: (x: number) => string;
  readonly yText: (y: number) => string;
  /** Shorter, beside the axis; `yText` where there is none. */
  readonly yTick?: ((y: number) => string) | undefined;
  /** Told the values under the cursor by key of the series; undefined when it has left. */
  readonly onHover?: (at: Hover | undefined) => void;
  /** Places on the axis that get a small cross. */
  readonly marks?: readonly number[];
  /** A line across, with its name. */
  readonly limit?: { readonly y: number; readonly label: string } | undefined;
  /** The axis is in seconds; else it counts something that comes in pieces. */
  readonly isTime?: boolean;
  /** The other axis begins at zero. */
  readonly fromZero?: boolean;
  readonly height?: number;
}

export interface Hover {
  readonly x: number;
  readonly values: ReadonlyMap<string, number>;
}

const HEIGHT_PX = 240;
const FONT = "12px system-ui, -apple-system, 'Segoe UI', sans-serif";
/** 1, 2, 5, 10 … between two lines of the grid. */
const WHOLE_STEPS = Array.from({ length: 9 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** i)).flat();
/** Seconds, minutes, hours and days as people divide them. */
const SECOND_STEPS = [
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
  ...[1, 2, 3, 6, 12, 24, 48, 96, 240, 480, 960, 2400].map((hours) => hours * 3600),
];
/** Below it single rounds are told apart, and get dots. */
const DOTS_UP_TO = 60;

export function Plot(props: PlotProps) {
  const { label, series, zoom, syncKey, height = HEIGHT_PX } = props;
  const { theme } = useApp();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const said = useSignal("");

  // Another set of lines or other colours are another drawing; other values are not.
  const look = series.map(({ key, colour, dash, isFaint }) => [key, colour, dash, isFaint]);
  const structure = JSON.stringify([
    ...[look, theme.theme.value, props.limit?.label],
    ...[props.isTime, height],
  ]);
  useEffect(() => {
    const target = place.current;
    if (target === null) return undefined;
    const drawn = new uPlot(
      optionsOf(latest, theme.colour, Math.max(160, target.clientWidth), height, syncKey),
      dataOf(latest.current.series),
      target,
    );
    plot.current = drawn;
    show(drawn, zoom.peek());
    const observer = new ResizeObserver(() => {
      const width = target.clientWidth;
      if (width > 0 && width !== drawn.width) drawn.setSize({ width, height });
    });
    observer.observe(target);
    return () => {
      observer.disconnect();
      drawn.destroy();
      plot.current = undefined;
    };
  }, [structure]);

  useEffect(() => {
    const drawn = plot.current;
    if (drawn === undefined) return;
    const data = dataOf(series);
    // What it was made with a moment ago is drawn already.
    if (data.every((row, i) => row === drawn.data[i]) && data[0].length > 0) return;
    drawn.batch(() => {
      drawn.setData(data, false);
      show(drawn, zoom.peek());
    });
  }, [series, props.marks]);

  useSignalEffect(() => {
    const { value } = zoom;
    if (plot.current !== undefined) show(plot.current, value);
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const drawn = plot.current;
    if (drawn === undefined) return;
    // A zoom is drawn a moment after it is set: keys move in the one that is set.
    drawn.batch(() => show(drawn, zoom.peek()));
    const index = moved(drawn, event.key);
    if (index === undefined) return;
    event.preventDefault();
    const x = Number(drawn.data[0][index]);
    drawn.setCursor({ left: drawn.valToPos(x, "x"), top: drawn.over.clientHeight / 2 });
    said.value = sayOf(latest.current, hoverOf(drawn, latest.current.series));
  };

  return (
    <div
      class="plot"
      role="group"
      aria-label={`${label} The arrow keys read single values.`}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    >
      <div ref={place} class="plot-place" aria-hidden="true" />
      <span class="hidden-visually" role="status">
        {said}
      </span>
    </div>
  );
}

function dataOf(series: readonly PlotSeries[]): uPlot.AlignedData {
  const { xs, rows } = aligned(series.map(({ curve }) => curve));
  return [xs, ...rows] as unknown as uPlot.AlignedData;
}

function show(drawn: uPlot, zoom: Zoom | undefined): void {
  const xs = drawn.data[0];
  const [first, last] = [xs[0] ?? 0, xs.at(-1) ?? 1];
  // A single place gets room on both sides.
  const [min, max] = zoom === undefined ? [first, last] : [zoom.min, zoom.max];
  drawn.setScale("x", min === max ? { min: min - 1, max: max + 1 } : { min, max });
}

function optionsOf(
  latest: { readonly current: PlotProps },
  colour: (token: `--${string}`) => string,
  width: number,
  height: number,
  syncKey: string,
): uPlot.Options {
  const { series, fromZero = false, isTime = false } = latest.current;
  const text = colour("--text-soft");
  const line = colour("--line");
  const axis = {
    stroke: text,
    font: FONT,
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
  };
  return {
    ...{ width, height },
    padding: [8, 22, 0, 0],
    legend: { show: false },
    scales: {
      x: { time: false },
      y: { range: (_, low, high) => rangeOf(low, high, fromZero, latest.current.limit?.y) },
    },
    axes: [
      {
        ...axis,
        space: 64,
        gap: 4,
        size: 28,
        incrs: isTime ? SECOND_STEPS : WHOLE_STEPS,
        values: (_, places) => places.map((x) => latest.current.xText(x)),
      },
      {
        ...axis,
        space: 36,
        gap: 4,
        size: (_, values) => axisWidth(values),
        values: (_, places) => {
          const { yText, yTick = yText } = latest.current;
          return places.map((y) => yTick(y));
        },
      },
    ],
    series: [
      {},
      ...series.map(({ label, colour: token, dash, isFaint = false, isFilled = false }) => {
        const stroke = colour(token);
        return {
          label,
          stroke,
          width: isFaint ? 1 : 1.75,
          alpha: isFaint ? 0.35 : 1,
          ...(dash.length > 0 && !isFaint ? { dash: [...dash] } : {}),
          ...(isFilled ? { fill: stroke } : {}),
          points: {
            show: (u: uPlot) => !isFaint && !isFilled && pointsInView(u) <= DOTS_UP_TO,
            size: 5,
            fill: stroke,
          },
        };
      }),
    ],
    cursor: {
      y: false,
      points: { show: !series.some(({ isFilled }) => isFilled === true), size: 7, width: 0 },
      drag: { x: true, y: false, setScale: false, dist: 8 },
      bind: {
        dblclick: () => () => {
          latest.current.zoom.value = undefined;
          return null;
        },
      },
      sync: { key: syncKey, scales: ["x", null] },
    },
    hooks: {
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide < 8) return;
          const [min, max] = [u.posToVal(left, "x"), u.posToVal(left + wide, "x")];
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          latest.current.zoom.value = { min, max };
        },
      ],
      setCursor: [(u) => latest.current.onHover?.(hoverOf(u, latest.current.series))],
      draw: [
        (u) => drawMarks(u, latest.current.marks ?? [], colour("--bad")),
        (u) => drawLimit(u, latest.current.limit, colour("--bad")),
      ],
    },
  };
}

/** For the longest of its texts. There are none before the first drawing. */
const axisWidth = (texts: readonly string[] | null): number =>
  18 + 6.6 * Math.max(3, ...(texts ?? []).map((text) => text.length));

/** With some room above and below, so that no line lies on the frame. */
function rangeOf(
  low: number | null,
  high: number | null,
  fromZero: boolean,
  limit: number | undefined,
): [number, number] {
  const least = fromZero ? 0 : (low ?? 0);
  const most = Math.max(high ?? 1, limit ?? -Infinity);
  const span = most - least || Math.abs(most) || 1;
  return [fromZero ? 0 : least - 0.06 * span, most + 0.08 * span];
}

function pointsInView(u: uPlot): number {
  const { min, max } = u.scales.x as { min?: number; max?: number };
  if (min === undefined || max === undefined) return Infinity;
  return u.valToIdx(max) - u.valToIdx(min) + 1;
}

function hoverOf(u: uPlot, series: readonly PlotSeries[]): Hover | undefined {
  const { idx, idxs } = u.cursor;
  if (idx === null || idx === undefined) return undefined;
  const x = u.data[0][idx];
  if (x === undefined) return undefined;
  const values = new Map<string, number>();
  for (const [i, { key, isFaint }] of series.entries()) {
    const at = idxs?.[i + 1];
    const value = at === null || at === undefined ? undefined : u.data[i + 1]?.[at];
    if (isFaint !== true && value !== null && value !== undefined) values.set(key, value);
  }
  return { x, values };
}

const sayOf = ({ series, xText, yText }: PlotProps, at: Hover | undefined): string =>
  at === undefined
    ? ""
    : [
        xText(at.x),
        ...series.flatMap(({ key, label }) => {
          const value = at.values.get(key);
          return value === undefined ? [] : [`${label} ${yText(value)}`];
        }),
      ].join(", ");

/** The index that a key leads to. */
function moved(u: uPlot, key: string): number | undefined {
  const { min, max } = u.scales.x as { min: number; max: number };
  let [first, last] = [u.valToIdx(min), u.valToIdx(max)];
  // The nearest ones may lie just outside, where no cursor can be.
  if (Number(u.data[0][first]) < min) first += 1;
  if (Number(u.data[0][last]) > max) last -= 1;
  const now = u.cursor.idx ?? undefined;
  const step = Math.max(1, Math.round((last - first) / 10));
  const next: Readonly<Record<string, number>> = {
    ArrowLeft: (now ?? last + 1) - 1,
    ArrowRight: (now ?? first - 1) + 1,
    PageUp: (now ?? last) - step,
    PageDown: (now ?? first) + step,
    Home: first,
    End: last,
  };
  const wanted = next[key];
  return wanted === undefined ? undefined : Math.min(last, Math.max(first, wanted));
}

/** A cross for each, at the top of the drawing: seen without its colour, too. */
function drawMarks(u: uPlot, marks: readonly number[], colour: string): void {
  const { min, max } = u.scales.x as { min: number; max: number };
  const { ctx } = u;
  const ratio = uPlot.pxRatio;
  const reach = 3 * ratio;
  const middle = u.bbox.top + 5 * ratio;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5 * ratio;
  ctx.beginPath();
  let before = -Infinity;
  for (const mark of marks) {
    if (mark < min || mark > max) continue;
    const x = u.valToPos(mark, "x", true);
    // Crosses on top of one another say no more than one.
    if (x - before < 2.5 * reach) continue;
    before = x;
    ctx.moveTo(x - reach, middle - reach);
    ctx.lineTo(x + reach, middle + reach);
    ctx.moveTo(x - reach, middle + reach);
    ctx.lineTo(x + reach, middle - reach);
  }
  ctx.stroke();
  ctx.restore();
}

function drawLimit(u: uPlot, limit: PlotProps["limit"], colour: string): void {
  if (limit === undefined) return;
  const { ctx, bbox } = u;
  const ratio = uPlot.pxRatio;
  const y = u.valToPos(limit.y, "y", true);
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = ratio;
  ctx.setLineDash([6 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = FONT.replace("12px", `${12 * ratio}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  ctx.fillText(limit.label, bbox.left + 6 * ratio, y - 3 * ratio);
  ctx.restore();
}
