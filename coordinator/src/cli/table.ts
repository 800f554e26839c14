/** Tables for people: aligned columns that fit the terminal. */

import type { CliIo } from "./io.ts";
import { note, sizeOf, writeLine } from "./io.ts";

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: "right";
  /** Gives way first when the table is too wide. */
  readonly shrinks?: boolean;
}

const GAP = "  ";
/** Narrower than this a column says nothing any more. */
const NARROWEST = 6;

/** Lines of the table, header first; none is longer than `width` as long as the fixed columns fit. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): string[] {
  const cells = [
    columns.map(({ title }) => title.toUpperCase()),
    ...rows.map((row) => columns.map(({ text }) => text(row))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  let excess =
    widths.reduce((sum, columnWidth) => sum + columnWidth, 0) +
    GAP.length * (columns.length - 1) -
    width;
  for (const [i, { shrinks }] of columns.entries()) {
    if (shrinks !== true || excess <= 0) continue;
    const full = widths[i] ?? 0;
    const narrow = Math.max(NARROWEST, full - excess);
    excess -= full - narrow;
    widths[i] = narrow;
  }
  return cells.map((line) =>
    line
      .map((cell, i) => fit(cell, widths[i] ?? 0, columns[i]?.align === "right"))
      .join(GAP)
      .trimEnd(),
  );
}

/** Writes a table as wide as the terminal, or a note where there is nothing to show. */
export function writeTable<Row>(
  io: CliIo,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  whenEmpty: string,
): void {
  if (rows.length === 0) note(io, whenEmpty);
  else for (const line of tableLines(columns, rows, sizeOf(io).columns)) writeLine(io, line);
}

function fit(text: string, width: number, right: boolean): string {
  const cut = text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;
  return right ? cut.padStart(width) : cut.padEnd(width);
}
