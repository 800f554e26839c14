/** The table of rounds: one line each, as it ends; on a terminal the open round shows below them. */

import type { MonitoringEvent, RoundResource } from "@tributary/protocol";

import type { Budget } from "./budget.ts";
import { epsilonText } from "./budget.ts";

export interface RoundTable {
  /** The model before training, or as an earlier run left it after `round`. */
  initial(round: number, evaluation: { readonly accuracy?: number; readonly loss: number }): void;
  /** @param budget under privacy, as it stands after the event */
  observe(event: MonitoringEvent, budget?: Budget): void;
  /** A line between the rounds. */
  note(text: string): void;
  /** Takes the line of the open round away. */
  end(): void;
}

export interface TableOptions {
  /** Shows what is spent of the budget, in place of what depends on single clients. */
  readonly privacy: boolean;
  /** Can the last line be replaced? */
  readonly live: boolean;
  readonly write: (text: string) => void;
}

/** At least this wide, and as its heading. All of them together fit in 80 characters. */
const WIDTHS = {
  round: 6,
  accuracy: 9,
  loss: 7,
  reports: 9,
  bytes: 9,
  seconds: 8,
  epsilon: 8,
  "of budget": 10,
  "rounds left": 11,
};
type Column = keyof typeof WIDTHS;
type Cells = Partial<Record<Column, string>>;

const PLAIN: readonly Column[] = ["round", "accuracy", "loss", "reports", "bytes", "seconds"];
/** How many answered is not paid for from the budget: it is not shown, whatever the API does. */
const PRIVATE: readonly Column[] = [
  ...(["round", "accuracy", "loss", "seconds"] as const),
  ...(["epsilon", "of budget", "rounds left"] as const),
];

const ERASE_LINE = "\r\u001b[2K";

export function createRoundTable({ privacy, live, write }: TableOptions): RoundTable {
  const columns = privacy ? PRIVATE : PLAIN;
  const lineOf = (cells: Cells) =>
    columns
      .map((column) => (cells[column] ?? "").padStart(WIDTHS[column]))
      .join("  ")
      .trimEnd();
  const line = (text: string) => write(`${live ? ERASE_LINE : ""}${text}\n`);
  let headed = false;
  const row = (text: string) => {
    if (!headed) {
      line(lineOf(Object.fromEntries(columns.map((column) => [column, column]))));
      headed = true;
    }
    line(text);
  };

  const showRound = (round: RoundResource, budget: Budget | undefined) => {
    if (round.phase === "committed") row(lineOf(cellsOf(round, budget)));
    else if (round.phase === "abandoned") {
      row(`${String(round.roundNumber).padStart(WIDTHS.round)}  abandoned: ${round.reason ?? "?"}`);
    } else if (live) {
      write(
        `${ERASE_LINE}${String(round.roundNumber).padStart(WIDTHS.round)}  ${round.phase}${progressOf(round)}`,
      );
    }
  };
  const progressOf = (round: RoundResource) =>
    privacy || round.phase === "selecting" ? "" : ` ${reportsOf(round)}`;

  return {
    initial: (round, { accuracy, loss }) =>
      row(lineOf({ round: String(round), accuracy: percent(accuracy), loss: loss.toFixed(4) })),
    observe: (event, budget) => {
      if (event.type === "round:phaseChanged" || event.type === "round:progress") {
        showRound(event.data, budget);
      }
    },
    note: row,
    end: () => {
      if (live) write(ERASE_LINE);
    },
  };
}

function cellsOf(round: RoundResource, budget: Budget | undefined): Cells {
  const { evaluation, epsilon, endedAt, openedAt } = round;
  const ms = endedAt === undefined ? undefined : Date.parse(endedAt) - Date.parse(openedAt);
  return {
    round: String(round.roundNumber),
    accuracy: percent(evaluation?.accuracy),
    loss: evaluation?.loss.toFixed(4) ?? "-",
    reports: reportsOf(round),
    bytes: round.updateBytes === undefined ? "-" : showBytes(round.updateBytes),
    seconds: ms === undefined ? "-" : (ms / 1000).toFixed(1),
    ...(epsilon === undefined || budget === undefined
      ? {}
      : {
          epsilon: epsilonText(epsilon),
          "of budget": `${Math.ceil((100 * epsilon) / budget.maxEpsilon)} %`,
          "rounds left": String(budget.roundsLeft),
        }),
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
