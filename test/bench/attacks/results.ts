/** The report of `npm run bench:attacks` as RESULTS.md. */

import type { Machine } from "../speed/report.ts";
import type { ArenaSettings } from "./arena.ts";

export interface AttackReport {
  readonly command: string;
  readonly date: string;
  readonly commit?: string;
  readonly machine: Machine;
  readonly cpuSeconds: number;
  readonly settings: ArenaSettings;
  /** Who the clients are. */
  readonly clients: string;
  readonly attacks: readonly { readonly name: string; readonly about: string }[];
  readonly rows: readonly { readonly defence: string; readonly accuracies: readonly number[] }[];
}

export const percent = (share: number): string => (100 * share).toFixed(1);

export function renderAttacks({ settings: s, attacks, rows, ...run }: AttackReport): string {
  return [
    "# What each aggregation rule is worth against liars",
    "",
    `Written by \`${run.command}\`, never by hand: ${run.date.slice(0, 16)}, commit ${run.commit ?? "unknown"}, ${run.machine.cpu}, Node ${run.machine.node}, ${run.cpuSeconds} s of CPU. The same settings give the same table on any machine with the same data.`,
    "",
    `Accuracy in per cent on ${s.judged} test images after ${s.rounds} rounds. ${run.clients}; of ${s.cohort} in a round ${s.liars} lie, all of them on purpose and together. A network of 784, 32 and 10 units; ${s.epochs} epochs of batches of ${s.batchSize} at learning rate ${s.learningRate}; FedAvg's step; seed ${s.seed}. Under "mean, by examples" liars also claim 10 000 examples, which is what its default cap lets count.`,
    "",
    ...aligned([
      ["rule", ...attacks.map(({ name }) => name)],
      ...rows.map(({ defence, accuracies }) => [defence, ...accuracies.map(percent)]),
    ]),
    "",
    ...attacks.map(({ name, about }) => `- **${name}**: ${about}.`),
    "",
  ].join("\n");
}

/** A Markdown table as Prettier has it. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const pad = (cell: string, i: number) => cell.padEnd(widths[i] ?? 0);
  const rule = widths.map((width) => "-".repeat(width));
  const [head = "", ...body] = rows.map((row) => line(row.map(pad)));
  return [head, line(rule), ...body];
}
