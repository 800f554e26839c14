/** The table of rounds: one line each, as it ends; on a terminal the open round shows below them. */

import type { MonitoringEvent, RoundResource } from "@tributary/protocol";

export interface RoundTable {
  /** The model before training, or as an earlier run left it after `round`. */
  initial(round: number, evaluation: { readonly accuracy?: number; readonly loss: number }): void;
  observe(event: MonitoringEvent): void;
  /** A line between the rounds. */
  note(text: string): void;
  /** Takes the line of the open round away. */
  end(): void;
}

export interface TableOptions {
  /** Adds the column of epsilon. */
  readonly privacy: boolean;
  /** Can the last line be replaced? */
  readonly live: boolean;
  readonly write: (text: string) => void;
}

const WIDTHS = { round: 6, accuracy: 9, loss: 7, reports: 9, bytes: 9, seconds: 8, epsilon: 8 };
const COLUMNS = ["round", "accuracy", "loss", "reports", "bytes", "seconds", "epsilon"] as const;
type Cells = Partial<Record<(typeof COLUMNS)[number], string>>;

const ERASE_LINE = "\r\u001b[2K";

export function createRoundTable({ privacy, live, write }: TableOptions): RoundTable {
  const columns = COLUMNS.filter((column) => privacy || column !== "epsilon");
  const lineOf = (cells: Cells) =>
    columns.map((column) => (cells[column] ?? "").padStart(WIDTHS[column])).join("  ");
  const line = (text: string) => write(`${live ? ERASE_LINE : ""}${text}\n`);
  let headed = false;
  const row = (text: string) => {
    if (!headed) {
      line(lineOf(Object.fromEntries(columns.map((column) => [column, column]))));
      headed = true;
    }
    line(text);
  };

  const showRound = (round: RoundResource) => {
    if (round.phase === "committed") row(lineOf(cellsOf(round)));
    else if (round.phase === "abandoned") {
      row(`${String(round.roundNumber).padStart(WIDTHS.round)}  abandoned: ${round.reason ?? "?"}`);
    } else if (live) {
      const progress = round.phase === "selecting" ? "" : ` ${reportsOf(round)}`;
      write(
        `${ERASE_LINE}${String(round.roundNumber).padStart(WIDTHS.round)}  ${round.phase}${progress}`,
      );
    }
  };

  return {
    initial: (round, { accuracy, loss }) =>
      row(lineOf({ round: String(round), accuracy: percent(accuracy), loss: loss.toFixed(4) })),
    observe: (event) => {
      if (event.type === "round:phaseChanged" || event.type === "round:progress") {
        showRound(event.data);
      }
    },
    note: row,
    end: () => {
      if (live) write(ERASE_LINE);
    },
  };
}

function cellsOf(round: RoundResource): Cells {
  const { evaluation, epsilon, endedAt, openedAt } = round;
  const ms = endedAt === undefined ? undefined : Date.parse(endedAt) - Date.parse(openedAt);
  return {
    round: String(round.roundNumber),
    accuracy: percent(evaluation?.accuracy),
    loss: evaluation?.loss.toFixed(4) ?? "-",
    reports: reportsOf(round),
    bytes: round.updateBytes === undefined ? "-" : showBytes(round.updateBytes),
    seconds: ms === undefined ? "-" : (ms / 1000).toFixed(1),
    epsilon: epsilon?.toFixed(3) ?? "-",
  };
}

const reportsOf = ({ participants }: RoundResource) =>
  participants === undefined ? "-" : `${participants.reported}/${participants.selected}`;

const percent = (share: number | undefined) =>
  share === undefined ? "-" : `${(100 * share).toFixed(2)} %`;

function showBytes(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
