/** Tasks, rounds and models as people read them in a terminal. */

import type {
  AuditEntry,
  Evaluation,
  ModelResource,
  RoundResource,
  TaskResource,
} from "@tributary/protocol";
import { roundedUp } from "@tributary/protocol";

import type { Column } from "./table.ts";

/** Where a table has no value. */
export const NOTHING = "-";

/** A number of a promise about privacy. */
export const upwards = (value: number): string => roundedUp(value, 5);

export function bytesText(bytes: number): string {
  // A mean has a fraction.
  if (bytes < 999.5) return `${Math.round(bytes)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toPrecision(3)} ${units[unit] ?? ""}`;
}

export function spanText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 99_950) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.round(ms / 60_000);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

export const numberText = (value: number | undefined, digits: number): string =>
  value === undefined ? NOTHING : value.toFixed(digits);
export const percentText = (value: number | undefined): string =>
  value === undefined ? NOTHING : `${(100 * value).toFixed(2)} %`;
const minuteText = (instant: string): string => instant.slice(0, 16).replace("T", " ");

/** How a task stands: `running`, `ended: targetReached`. */
export const taskStateText = ({ state, endReason }: TaskResource): string =>
  endReason === undefined ? state : `${state}: ${endReason}`;

/** How a round stands: `reporting`, `committed`, `tooFewReports`. */
export const roundStateText = ({ phase, reason }: RoundResource): string => reason ?? phase;

/** Under privacy only the operator is told how long the phases took; whoever waits for the model sees the whole. */
function durationText({ phases, openedAt, endedAt }: RoundResource): string {
  if (phases !== undefined) {
    return spanText(phases.reduce((sum, { durationMs }) => sum + durationMs, 0));
  }
  return endedAt === undefined ? NOTHING : spanText(Date.parse(endedAt) - Date.parse(openedAt));
}

/** Reports and places; under privacy the operator's alone. */
const reportsText = ({ participants }: RoundResource): string =>
  participants === undefined ? NOTHING : `${participants.reported}/${participants.selected}`;

export const TASK_COLUMNS: readonly Column<TaskResource>[] = [
  { title: "task", text: ({ taskId }) => taskId, shrinks: true },
  { title: "state", text: taskStateText, shrinks: true },
  { title: "version", text: ({ checkpoint }) => `${checkpoint.modelVersion}`, align: "right" },
  { title: "rounds", text: ({ roundsCommitted }) => `${roundsCommitted}`, align: "right" },
  { title: "lost", text: ({ roundsAbandoned }) => `${roundsAbandoned}`, align: "right" },
  {
    title: "waiting",
    text: ({ clientsWaiting }) => `${clientsWaiting ?? NOTHING}`,
    align: "right",
  },
  {
    title: "accuracy",
    text: ({ evaluation }) => percentText(evaluation?.accuracy),
    align: "right",
  },
];

export const ROUND_COLUMNS: readonly Column<RoundResource>[] = [
  { title: "round", text: ({ roundNumber }) => `${roundNumber}`, align: "right" },
  { title: "state", text: roundStateText, shrinks: true },
  {
    title: "version",
    text: ({ modelVersion }) => (modelVersion === undefined ? NOTHING : `${modelVersion}`),
    align: "right",
  },
  { title: "reports", text: reportsText, align: "right" },
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
    title: "bytes",
    text: ({ updateBytes }) => (updateBytes === undefined ? NOTHING : bytesText(updateBytes)),
    align: "right",
  },
  { title: "time", text: durationText, align: "right" },
  { title: "epsilon", text: ({ epsilon }) => numberText(epsilon, 3), align: "right" },
];

export const MODEL_COLUMNS: readonly Column<ModelResource>[] = [
  { title: "version", text: ({ modelVersion }) => `${modelVersion}`, align: "right" },
  {
    title: "round",
    text: ({ roundNumber }) => (roundNumber === undefined ? NOTHING : `${roundNumber}`),
    align: "right",
  },
  { title: "created", text: ({ createdAt }) => minuteText(createdAt) },
  { title: "size", text: ({ bytes }) => bytesText(bytes), align: "right" },
  {
    title: "accuracy",
    text: ({ evaluation }) => percentText(evaluation?.accuracy),
    align: "right",
  },
  { title: "loss", text: ({ evaluation }) => numberText(evaluation?.loss, 4), align: "right" },
  { title: "digest", text: ({ digest }) => digest.slice(0, 12) },
];

/** What an entry says; one that cannot be read says that. */
function auditRecord({ record }: AuditEntry): Record<"at" | "kind" | "actor" | "facts", string> {
  try {
    const { at, kind, actor, facts } = JSON.parse(record) as Record<string, unknown>;
    const told = Object.entries(facts as object).map(([name, value]) => `${name}=${String(value)}`);
    return {
      at: String(at).slice(0, 19).replace("T", " "),
      kind: String(kind),
      actor: String(actor),
      facts: told.join(" "),
    };
  } catch {
    return { at: NOTHING, kind: "unreadable", actor: NOTHING, facts: NOTHING };
  }
}

export const AUDIT_COLUMNS: readonly Column<AuditEntry>[] = [
  { title: "entry", text: ({ number }) => `${number}`, align: "right" },
  { title: "at", text: (entry) => auditRecord(entry).at },
  { title: "actor", text: (entry) => auditRecord(entry).actor },
  { title: "kind", text: (entry) => auditRecord(entry).kind },
  { title: "facts", text: (entry) => auditRecord(entry).facts },
];

/** One line about a round, for output that is read line by line. */
export function roundLine(round: RoundResource): string {
  const { roundId, participants, modelVersion, evaluation, epsilon } = round;
  return [
    roundId,
    roundStateText(round),
    ...(participants === undefined ? [] : [`reports ${reportsText(round)}`]),
    ...(modelVersion === undefined ? [] : [`version ${modelVersion}`]),
    ...(evaluation === undefined ? [] : [evaluationText(evaluation)]),
    ...(epsilon === undefined ? [] : [`epsilon ${epsilon.toFixed(3)}`]),
    durationText(round),
  ].join("  ");
}

export function evaluationText({ accuracy, loss, macro }: Evaluation): string {
  return [
    ...(accuracy === undefined ? [] : [`accuracy ${percentText(accuracy)}`]),
    ...(macro === undefined ? [] : [`F1 ${macro.f1.toFixed(4)}`]),
    `loss ${loss.toFixed(4)}`,
  ].join("  ");
}

/** A task in full, as `name  value` lines. */
export function taskLines(task: TaskResource): string[] {
  const { spec, evaluation, currentRound, layout, checkpoint } = task;
  const { sampler, aggregation, weighting, serverOptimizer, privacy, schedule, stop } = spec;
  const facts: [string, string][] = [
    ["task", task.taskId],
    ...(spec.description === "" ? [] : [["description", spec.description] as [string, string]]),
    ["state", taskStateText(task)],
    ["created", minuteText(task.createdAt)],
    ["model", `${layout.tensors.length} tensors, ${layout.parameterCount} parameters`],
    ["version", `${checkpoint.modelVersion}, ${bytesText(checkpoint.bytes)}`],
    ["rounds", `${task.roundsCommitted} committed, ${task.roundsAbandoned} abandoned`],
    [
      "clients",
      task.clientsWaiting === undefined
        ? "for the operator only"
        : `${task.clientsWaiting} waiting`,
    ],
    ["evaluation", evaluation === undefined ? "none yet" : evaluationText(evaluation)],
    ["now", currentRound === undefined ? "no round open" : roundLine(currentRound)],
    ["plan", JSON.stringify(spec.plan)],
    ["sampler", JSON.stringify(sampler)],
    ["aggregation", JSON.stringify(aggregation)],
    ["weighting", JSON.stringify(weighting)],
    ["optimizer", JSON.stringify(serverOptimizer)],
    ["privacy", JSON.stringify(privacy)],
    ["schedule", JSON.stringify(schedule)],
    ["stop", JSON.stringify(stop)],
    ...(spec.serving === undefined
      ? []
      : [["serving", JSON.stringify(spec.serving)] as [string, string]]),
  ];
  return facts.map(([name, value]) => `${name.padEnd(13)}${value}`);
}
