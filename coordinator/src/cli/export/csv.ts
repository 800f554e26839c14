/** Rounds as comma-separated values (RFC 4180), for spreadsheets and data frames: one row per round. */

import type { EndedRound } from "./history.ts";
import { durationSeconds, phaseSeconds, updatesRefused } from "./history.ts";

/** In this order for ever: columns that are new come at the end. A unit stands in the name. */
const COLUMNS: readonly (readonly [string, (round: EndedRound) => unknown])[] = [
  ["task_id", ({ taskId }) => taskId],
  ["round_number", ({ roundNumber }) => roundNumber],
  ["outcome", ({ phase }) => phase],
  ["reason", ({ reason }) => reason],
  ["opened_at_utc", ({ openedAt }) => openedAt],
  ["ended_at_utc", ({ endedAt }) => endedAt],
  ["duration_seconds", durationSeconds],
  ["selecting_seconds", (round) => phaseSeconds(round, "selecting")],
  ["reporting_seconds", (round) => phaseSeconds(round, "reporting")],
  ["aggregating_seconds", (round) => phaseSeconds(round, "aggregating")],
  ["base_model_version", ({ baseModelVersion }) => baseModelVersion],
  ["model_version", ({ modelVersion }) => modelVersion],
  ["clients_selected", ({ participants }) => participants?.selected],
  ["clients_reported", ({ participants }) => participants?.reported],
  ["clients_declined", ({ participants }) => participants?.declined],
  ["clients_left", ({ participants }) => participants?.left],
  ["clients_disconnected", ({ participants }) => participants?.disconnected],
  ["clients_rejected", ({ participants }) => participants?.rejected],
  ["clients_timed_out", ({ participants }) => participants?.timedOut],
  ["updates_refused", updatesRefused],
  ["update_bytes", ({ updateBytes }) => updateBytes],
  ["train_loss", ({ trainLoss }) => trainLoss],
  ["evaluation_source", ({ evaluation }) => evaluation?.source],
  ["evaluated_model_version", ({ evaluation }) => evaluation?.modelVersion],
  ["evaluation_examples", ({ evaluation }) => evaluation?.numExamples],
  ["accuracy_fraction", ({ evaluation }) => evaluation?.accuracy],
  ["loss", ({ evaluation }) => evaluation?.loss],
  ["macro_precision_fraction", ({ evaluation }) => evaluation?.macro?.precision],
  ["macro_recall_fraction", ({ evaluation }) => evaluation?.macro?.recall],
  ["macro_f1_fraction", ({ evaluation }) => evaluation?.macro?.f1],
  ["clipping_norm", ({ clippingNorm }) => clippingNorm],
  ["epsilon", ({ epsilon }) => epsilon],
];

const LINE_END = "\r\n";

/** The header and a row for each round; what is not there or withheld is an empty field. */
export function roundsCsv(rounds: readonly EndedRound[]): string {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...rounds.map((round) => COLUMNS.map(([, cellOf]) => field(cellOf(round)))),
  ];
  return lines.map((cells) => cells.join(",") + LINE_END).join("");
}

/** Spreadsheets take a text that begins so for a formula, also in its full-width forms. */
const FORMULA = /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/;

/** Text comes from the network: it is quoted where the format asks for it, and never runs as a formula. */
function field(cell: unknown): string {
  if (cell === undefined) return "";
  if (typeof cell === "number") return `${cell}`;
  // Whatever else stands where it does not belong.
  if (typeof cell !== "string") return field(JSON.stringify(cell));
  const text = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]|^ | $/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
