/**
 * What TensorBoard is shown of a task. The step of everything about a round is its number, so that rounds that
 * came to nothing leave a gap; the step of an evaluation is the version that was evaluated. Wall time is the end of
 * the round. The same history gives the same bytes, and a longer one begins with them.
 */

import type { TaskResource, TaskSpec } from "@tributary/protocol";

import type { StepEvent } from "./event-file.ts";
import { encodeEventFile } from "./event-file.ts";
import type { EndedRound } from "./history.ts";
import { durationSeconds, phaseSeconds, updatesRefused } from "./history.ts";

/** Name of a task's file: its readers look for `tfevents`, and take several of them for one run. */
export const eventFileName = (task: TaskResource): string =>
  `events.out.tfevents.${Math.floor(secondsOf(task.createdAt))}.tributary`;

/** The event file of a task with these rounds. */
export function taskEvents(task: TaskResource, rounds: readonly EndedRound[]): Uint8Array {
  const wallTime = secondsOf(task.createdAt);
  return encodeEventFile(wallTime, [
    { wallTime, step: 0, texts: { task: specText(task.spec) } },
    ...rounds.flatMap(roundEvents),
  ]);
}

function roundEvents(round: EndedRound): StepEvent[] {
  const { roundNumber, participants, updateBytes, trainLoss, evaluation } = round;
  const wallTime = secondsOf(round.endedAt);
  const ofRound = {
    "round/duration_seconds": durationSeconds(round),
    "round/selecting_seconds": phaseSeconds(round, "selecting"),
    "round/reporting_seconds": phaseSeconds(round, "reporting"),
    "round/aggregating_seconds": phaseSeconds(round, "aggregating"),
    "round/committed": round.phase === "committed" ? 1 : 0,
    "clients/selected": participants?.selected,
    "clients/reported": participants?.reported,
    "updates/bytes": updateBytes,
    "updates/refused": updatesRefused(round),
    "training/loss": trainLoss,
    "training/clipping_norm": round.clippingNorm,
    "privacy/epsilon": round.epsilon === undefined ? undefined : float32Above(round.epsilon),
  };
  const events = [{ wallTime, step: roundNumber, scalars: known(ofRound) }];
  if (evaluation === undefined) return events;
  const { modelVersion, accuracy, loss, macro } = evaluation;
  const ofVersion = {
    "evaluation/accuracy": accuracy,
    "evaluation/loss": loss,
    "evaluation/macro_f1": macro?.f1,
    "evaluation/macro_precision": macro?.precision,
    "evaluation/macro_recall": macro?.recall,
  };
  return [...events, { wallTime, step: modelVersion, scalars: known(ofVersion) }];
}

/** Only what is there and a number: what is withheld has no point on a curve. */
function known(scalars: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(scalars).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
  );
}

/** A promise is never rounded down: the least float32 that is not below. */
export function float32Above(value: number): number {
  const nearest = Math.fround(value);
  if (!(nearest < value)) return nearest;
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, nearest);
  bits.setInt32(0, bits.getInt32(0) + (nearest < 0 ? -1 : 1));
  return bits.getFloat32(0);
}

/** The settings of a task as Markdown: code by its indentation, so that nothing in it is markup. */
const specText = (spec: TaskSpec): string =>
  Object.entries(spec)
    .map(([name, value]) => `    ${name}: ${JSON.stringify(value)}`)
    .join("\n");

const secondsOf = (instant: string): number => Date.parse(instant) / 1000;
