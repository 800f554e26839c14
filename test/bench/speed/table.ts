/** A report as Markdown: what a terminal shows and what `test/bench/RESULTS.md` is. */

import type { BenchReport, SectionReport } from "./report.ts";
import type { Goal, Row, Spread } from "./section.ts";

/** The whole file. It depends on nothing but the report, so a file that was edited is found out. */
export function renderReport(report: BenchReport): string {
  const { machine } = report;
  const commit = report.commit === undefined ? "" : `, commit ${report.commit}`;
  return [
    "# Benchmarks",
    "Written by `npm run bench` from `RESULTS.json` beside it; never edited. Medians (smallest – largest). CPU time is that of all threads of the process that is measured. References are other people's code, or a bound, in the same run.",
    [
      `- Run: ${report.date}, \`${report.command}\`${commit}`,
      `- Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}`,
      `- Load before: ${machine.loadBefore}, after: ${report.loadAfter}`,
    ].join("\n"),
    "## Goals",
    renderGoals(report.sections),
    ...report.sections.map(renderSection),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

export function renderSection({ name, title, seconds, result, failure }: SectionReport): string {
  const heading = `## ${title} (\`${name}\`, ${formatNumber(seconds)} s)`;
  if (result === undefined) return `${heading}\n\n**Failed:** ${failure ?? "without a word"}`;
  const notes = (result.notes ?? []).map((note) => `- ${note}`).join("\n");
  return [heading, renderRows(result.rows), runsOf(result.rows), notes]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Of all sections; also those that were not reached. */
export function renderGoals(sections: readonly SectionReport[]): string {
  const goals = sections.flatMap(({ name, result }) =>
    (result?.goals ?? []).map((goal) => ({ section: name, goal })),
  );
  if (goals.length === 0) return "None measured.";
  return renderTable([
    ["section", "goal", "aim", "measured", ""],
    ...goals.map(({ section, goal }) => [section, goal.name, goal.aim, ...verdict(goal)]),
  ]);
}

const verdict = ({ measured, isReached }: Goal): string[] => [
  formatNumber(measured),
  isReached ? "reached" : "**not reached**",
];

function renderRows(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  return renderTable([
    ["", ...columns],
    ...rows.map(({ name, isReference, values }) => [
      isReference === true ? `_${name}_ (reference)` : name,
      ...columns.map((column) => formatValue(values[column])),
    ]),
  ]);
}

function runsOf(rows: readonly Row[]): string {
  const runs = rows.flatMap(({ values }) =>
    Object.values(values).flatMap((value) => (typeof value === "object" ? [value.runs] : [])),
  );
  if (runs.length === 0) return "";
  const [fewest, most] = [Math.min(...runs), Math.max(...runs)];
  return fewest === most ? `Of ${most} runs.` : `Of ${fewest} to ${most} runs.`;
}

function formatValue(value: Spread | number | string | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number") return formatNumber(value);
  const { median, min, max, runs } = value;
  if (runs === 1) return formatNumber(median);
  return `${formatNumber(median)} (${formatNumber(min)} – ${formatNumber(max)})`;
}

/** Three digits, and thousands apart. */
function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) < 1_000) return String(Number(value.toPrecision(3)));
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");
}

/** The first row is the head. A bar in a cell would end it. */
function renderTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[], fill: string) =>
    `| ${widths.map((width, column) => (row[column] ?? "").padEnd(width, fill)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  return [line(head, " "), line([], "-"), ...body.map((row) => line(row, " "))].join("\n");
}
