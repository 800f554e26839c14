/** A simulation as people read it: a line while it runs, a table of its rounds, and what they come to. */

import type {
  SimulatedRound,
  SimulationEnd,
  SimulationPace,
  SimulationProgress,
  SimulationReport,
} from "../simulation/index.ts";
import type { CliIo } from "./io.ts";
import { painter, sizeOf, writeLine } from "./io.ts";
import type { Column } from "./table.ts";
import { writeTable } from "./table.ts";
import { bytesText, NOTHING, numberText, percentText, spanText, upwards } from "./view.ts";

export interface ProgressLine {
  progress(now: SimulationProgress): void;
  round(round: SimulatedRound): void;
  clear(): void;
}

const BAR = 24;
/** Often enough to be seen to move. */
const REDRAW_MS = 100;

/** One line on standard error that is drawn again in place, so that standard output holds the result alone. */
export function createProgressLine(io: CliIo): ProgressLine {
  const began = performance.now();
  let drawnAt = -Infinity;
  let last: SimulatedRound | undefined;
  return {
    round: (round) => {
      last = round;
    },
    progress: (now) => {
      const at = performance.now();
      if (at - drawnAt < REDRAW_MS) return;
      drawnAt = at;
      const text = progressText(now, last, (at - began) / 1000);
      io.stderr.write(`\r\u001b[K${text.slice(0, sizeOf(io).columns - 1)}`);
    },
    clear: () => {
      if (drawnAt > -Infinity) io.stderr.write("\r\u001b[K");
    },
  };
}

function progressText(
  { committed, rounds, reported, arrived, virtualMs }: SimulationProgress,
  last: SimulatedRound | undefined,
  seconds: number,
): string {
  const share = rounds === undefined ? undefined : Math.min(1, committed / rounds);
  const full = Math.round(BAR * (share ?? 0));
  return [
    ...(share === undefined ? [] : [`${"█".repeat(full)}${"░".repeat(BAR - full)}`]),
    `${committed}${rounds === undefined ? "" : `/${rounds}`} rounds`,
    ...(last?.evaluation === undefined ? [] : [figureText(last)]),
    ...(last?.epsilon === undefined ? [] : [`epsilon ${upwards(last.epsilon)}`]),
    `${reported} reports`,
    `virtual ${spanText(virtualMs)}`,
    `${Math.round(arrived / seconds)} clients/s`,
  ].join("  ");
}

function figureText({ evaluation, trainLoss }: SimulatedRound): string {
  if (evaluation?.accuracy !== undefined) return `accuracy ${percentText(evaluation.accuracy)}`;
  return `loss ${numberText(evaluation?.loss ?? trainLoss, 4)}`;
}

const goneOf = ({ participants: { declined, left, disconnected } }: SimulatedRound): number =>
  declined + left + disconnected;

/** One line about a round, for output that is read line by line. */
export function simulatedRoundLine(round: SimulatedRound): string {
  const { roundNumber, phase, reason, participants, durationMs, epsilon } = round;
  return [
    `round ${roundNumber}`,
    reason ?? phase,
    `reports ${participants.reported}/${participants.selected}`,
    ...(round.evaluation === undefined && round.trainLoss === undefined ? [] : [figureText(round)]),
    ...(epsilon === undefined ? [] : [`epsilon ${upwards(epsilon)}`]),
    spanText(durationMs),
  ].join("  ");
}

const COLUMNS: readonly Column<SimulatedRound>[] = [
  { title: "round", text: ({ roundNumber }) => `${roundNumber}`, align: "right" },
  { title: "state", text: ({ phase, reason }) => reason ?? phase, shrinks: true },
  {
    title: "reports",
    text: ({ participants }) => `${participants.reported}/${participants.selected}`,
    align: "right",
  },
  { title: "gone", text: (round) => `${goneOf(round)}`, align: "right" },
  { title: "late", text: ({ participants }) => `${participants.timedOut}`, align: "right" },
  {
    title: "accuracy",
    text: ({ evaluation }) => percentText(evaluation?.accuracy),
    align: "right",
  },
  {
    title: "loss",
    text: ({ evaluation, trainLoss }) => numberText(evaluation?.loss ?? trainLoss, 4),
    align: "right",
  },
  {
    title: "epsilon",
    text: ({ epsilon }) => (epsilon === undefined ? NOTHING : upwards(epsilon)),
    align: "right",
  },
  { title: "up", text: ({ bytesUp }) => bytesText(bytesUp), align: "right" },
  { title: "time", text: ({ durationMs }) => spanText(durationMs), align: "right" },
];

/** Without those that say nothing in any round, so that the others fit a terminal of 80 columns. */
const columnsOf = ({ rounds }: SimulationReport): readonly Column<SimulatedRound>[] =>
  COLUMNS.filter(
    ({ text }) => rounds.length === 0 || rounds.some((round) => text(round) !== NOTHING),
  );

export function printSimulation(io: CliIo, report: SimulationReport, pace: SimulationPace): void {
  writeTable(io, columnsOf(report), report.rounds, "no round has ended");
  writeLine(io, "");
  for (const [name, text] of factsOf(report, pace)) writeLine(io, `${name.padEnd(12)}${text}`);
  const paint = painter(io);
  if (report.privacy !== undefined) writeLine(io, paint("yellow", report.privacy.statement));
  if (report.problem === "synthetic") {
    const made =
      "The clients were synthetic: their loss tells how schedule, drop-outs and noise play together, and nothing of how well a real model learns.";
    writeLine(io, paint("yellow", made));
  }
  if (report.failures !== undefined) {
    const { count, first } = report.failures;
    writeLine(io, paint("red", `${count} trainings failed, the first one: ${first}`));
  }
  for (const warning of report.warnings) writeLine(io, paint("red", `warning: ${warning}`));
}

function factsOf(report: SimulationReport, pace: SimulationPace): (readonly [string, string])[] {
  const { totals, evaluation, model } = report;
  const { selected, reported, declined, disconnected, left, rejected, timedOut } =
    totals.participants;
  const each = totals.counted === 0 ? "" : `, ${bytesText(totals.bytesUp / totals.counted)} each`;
  return [
    ["ended", endText(report.end)],
    ["rounds", `${totals.committed} committed, ${totals.abandoned} abandoned`],
    ["lasted", `${spanText(totals.virtualMs)} of virtual time`],
    ["clients", `${report.clients}, of which ${totals.clientsSelected} had a place`],
    [
      "places",
      `${selected}: ${reported} reported, ${declined} declined, ${disconnected + left} gone, ` +
        `${timedOut} too late or not needed, ${rejected} refused`,
    ],
    ["down", bytesText(totals.bytesDown)],
    ["up", `${bytesText(totals.bytesUp)}${each}`],
    ...(evaluation === undefined
      ? []
      : [
          [
            "evaluation",
            [
              ...(evaluation.accuracy === undefined
                ? []
                : [`accuracy ${percentText(evaluation.accuracy)}`]),
              `loss ${evaluation.loss.toFixed(4)}`,
            ].join("  "),
          ] as const,
        ]),
    [
      "model",
      `version ${model.modelVersion}, SHA-256 ${model.digest.slice(0, 12)}, seed ${report.seed}`,
    ],
    [
      "here",
      `${pace.seconds.toFixed(1)} s, ${Math.round(pace.clientsPerSecond)} clients/s with ${pace.threads} ${pace.threads === 1 ? "thread" : "threads"}`,
    ],
  ];
}

function endText(end: SimulationEnd): string {
  switch (end.kind) {
    case "taskEnded":
      return end.reason;
    case "timeIsUp":
      return "the virtual time is up";
    case "stalled":
      return `stalled: ${end.abandonedInARow} rounds in a row were abandoned`;
    case "nobodyLeft":
      return "no client comes any more";
    case "interrupted":
      return "interrupted; these are the rounds until then";
  }
}
