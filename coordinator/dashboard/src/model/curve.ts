/** Curves of numbers over rounds: where a value stands, how it is smoothed, how many become few. Pure. */

import type { HistoryColumnName, HistoryTable } from "../data/long-history.ts";

/** What a curve runs over. */
export type Abscissa = "version" | "round" | "time";

/** Values at growing places; null is a gap. */
export interface Curve {
  readonly xs: readonly number[];
  readonly ys: readonly (number | null)[];
}

/** Figures of an evaluation belong to the version that was judged, all others to the round itself. */
const OF_VERSION: ReadonlySet<HistoryColumnName> = new Set([
  "loss",
  "accuracy",
  "macroPrecision",
  "macroRecall",
  "macroF1",
]);

/** One column as a curve, without the rounds that have no value. Time is in seconds since the first round began. */
export function curveOf(table: HistoryTable, column: HistoryColumnName, over: Abscissa): Curve {
  const { columns, length } = table;
  const values = columns[column];
  const places = columns[placeColumn(column, over)];
  const startMs = columns.openedAtMs[0] ?? 0;
  const xs: number[] = [];
  const ys: number[] = [];
  for (let i = 0; i < length; i++) {
    const value = values[i] ?? null;
    const place = places[i] ?? null;
    if (value === null || place === null) continue;
    const x = over === "time" ? (place - startMs) / 1000 : place;
    // Places grow. Where one comes again, the later value counts.
    while (xs.length > 0 && (xs.at(-1) as number) >= x) {
      xs.pop();
      ys.pop();
    }
    xs.push(x);
    ys.push(value);
  }
  return { xs, ys };
}

function placeColumn(column: HistoryColumnName, over: Abscissa): HistoryColumnName {
  if (over === "time") return "endedAtMs";
  if (over === "round") return "roundNumber";
  return OF_VERSION.has(column) ? "evaluatedVersion" : "modelVersion";
}

/**
 * Exponential moving average, without the pull towards zero at its beginning (Kingma & Ba 2015, section 3):
 * s_n = w s_(n-1) + (1 - w) y_n, shown as s_n / (1 - w^n). Gaps stay gaps and count for nothing.
 * @param weight w of what came before, from 0 (nothing is smoothed) to below 1
 */
export function smoothed(ys: readonly (number | null)[], weight: number): (number | null)[] {
  let sum = 0;
  let rest = 1;
  return ys.map((y) => {
    if (y === null) return null;
    sum = weight * sum + (1 - weight) * y;
    rest *= weight;
    return sum / (1 - rest);
  });
}

/**
 * Several curves over one axis: every place of any of them once, and `undefined` where a curve has none, so
 * that it is drawn through.
 */
export function aligned(curves: readonly Curve[]): {
  readonly xs: readonly number[];
  readonly rows: readonly (readonly (number | null | undefined)[])[];
} {
  const [first] = curves;
  if (first === undefined) return { xs: [], rows: [] };
  const isShared = curves.every(
    ({ xs }) => xs.length === first.xs.length && xs.every((x, i) => x === first.xs[i]),
  );
  if (isShared) return { xs: first.xs, rows: curves.map(({ ys }) => ys) };
  const xs = [...new Set(curves.flatMap((curve) => curve.xs))].sort((a, b) => a - b);
  const rows = curves.map((curve) => {
    let at = 0;
    return xs.map((x) => (curve.xs[at] === x ? curve.ys[at++] : undefined));
  });
  return { xs, rows };
}

/**
 * Indices that stand for many: of each of `buckets` runs of neighbours those with the smallest and the largest
 * value of each row, so that no peak is lost; first and last always. In order.
 */
export function withExtremes(
  rows: readonly (readonly (number | null | undefined)[])[],
  length: number,
  buckets: number,
): number[] {
  const kept = new Set<number>([0, length - 1]);
  if (length <= buckets) return Array.from({ length }, (_, i) => i);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const from = Math.floor((bucket * length) / buckets);
    const to = Math.floor(((bucket + 1) * length) / buckets);
    for (const row of rows) {
      let low: number | undefined;
      let high: number | undefined;
      for (let i = from; i < to; i++) {
        const value = row[i] ?? null;
        if (value === null) continue;
        if (low === undefined || value < (row[low] as number)) low = i;
        if (high === undefined || value > (row[high] as number)) high = i;
      }
      if (low !== undefined) kept.add(low);
      if (high !== undefined) kept.add(high);
    }
  }
  return [...kept].sort((a, b) => a - b);
}

/** A curve in words' worth of numbers, for who cannot see it; undefined for one without values. */
export function summaryOf({ xs, ys }: Curve):
  | {
      readonly first: number;
      readonly last: number;
      readonly lastX: number;
      readonly low: number;
      readonly lowX: number;
      readonly high: number;
      readonly highX: number;
      readonly count: number;
    }
  | undefined {
  let low = -1;
  let high = -1;
  let first = -1;
  let last = -1;
  let count = 0;
  for (const [i, y] of ys.entries()) {
    if (y === null) continue;
    count += 1;
    if (first === -1) first = i;
    last = i;
    if (low === -1 || y < (ys[low] as number)) low = i;
    if (high === -1 || y > (ys[high] as number)) high = i;
  }
  if (count === 0) return undefined;
  const at = (i: number) => ys[i] as number;
  const place = (i: number) => xs[i] as number;
  return {
    ...{ first: at(first), last: at(last), lastX: place(last), count },
    ...{ low: at(low), lowX: place(low), high: at(high), highX: place(high) },
  };
}
