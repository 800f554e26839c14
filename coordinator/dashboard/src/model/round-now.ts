/** The round that is open, phase by phase: what each one waits for, and what ends it. */

import type { RoundPhase, RoundResource, TaskResource } from "@tributary/protocol";

import { counted, countText, wholeSpanText } from "./format.ts";
import { ABANDON_WORDS, END_WORDS } from "./words.ts";

export type StepState = "done" | "now" | "next" | "failed";

export interface PhaseStep {
  readonly phase: RoundPhase;
  readonly state: StepState;
  /** How long it took, where that is over and told. */
  readonly durationMs?: number;
}

const STEPS: readonly RoundPhase[] = ["selecting", "reporting", "aggregating", "committed"];

/** The four steps of every round; an abandoned one fails at the step that it did not get through. */
export function phaseSteps(round: RoundResource): readonly PhaseStep[] {
  const timings = new Map(round.phases?.map(({ phase, durationMs }) => [phase, durationMs]));
  const reached = round.phase === "abandoned" ? failedAt(round) : STEPS.indexOf(round.phase);
  return STEPS.map((phase, i) => {
    const durationMs = timings.get(phase);
    const current = round.phase === "abandoned" ? "failed" : phase === "committed" ? "done" : "now";
    return {
      phase,
      state: i < reached ? "done" : i === reached ? current : "next",
      ...(durationMs === undefined ? {} : { durationMs }),
    };
  });
}

/** Where phases are withheld, so is the step: the round as a whole failed. */
function failedAt({ phases, reason }: RoundResource): number {
  if (phases !== undefined && phases.length > 0) return Math.min(phases.length, STEPS.length) - 1;
  if (reason === "aggregationFailed" || reason === "aggregationTimedOut") return 2;
  if (reason === "tooFewReports") return 1;
  return 0;
}

/** What the phase waits for, in a sentence with the numbers that are told. */
export function phaseWaitsFor(task: TaskResource, round: RoundResource): string {
  const { spec, clientsWaiting } = task;
  const { schedule, sampler, evaluation, privacy } = spec;
  const { participants } = round;
  switch (round.phase) {
    case "selecting": {
      const wanted = `Waits for ${counted(schedule.minClients, "client")}`;
      if (clientsWaiting === undefined) return `${wanted}, or for the deadline.`;
      return `${wanted}; ${clientsWaiting === 1 ? "1 is" : `${countText(clientsWaiting)} are`} here.`;
    }
    case "reporting": {
      if (participants === undefined) {
        return "The cohort trains and reports. The phase ends when nobody is awaited any more, or at the deadline.";
      }
      const goal =
        sampler.kind === "uniform"
          ? Math.min(sampler.cohortSize, participants.selected)
          : participants.selected;
      const reports = `${countText(participants.reported)} of ${counted(goal, "report")}`;
      const least = `at least ${countText(schedule.minReports)} must come`;
      return privacy.mechanism === "none" || privacy.mechanism === "local"
        ? `Waits for reports: ${reports}; ${least}.`
        : `Waits for reports: ${reports}.`;
    }
    case "aggregating": {
      const noise = privacy.mechanism === "central" || privacy.mechanism === "matrix";
      const works = ["averages the updates"];
      if (noise) works.push("adds noise");
      if (evaluation.kind === "central") works.push("evaluates the new model");
      works.push("publishes it");
      return `The coordinator ${joined(works)}.`;
    }
    case "committed":
      return round.modelVersion === undefined
        ? "The round is committed."
        : `Version ${countText(round.modelVersion)} is published.`;
    case "abandoned":
      if (round.reason !== undefined) return `Abandoned: ${ABANDON_WORDS[round.reason]}.`;
      return "Abandoned. Why is not shown, to protect the clients; the operator’s token shows it.";
  }
}

/** What comes next of a task without an open round. */
export function betweenRounds(task: TaskResource, serverNowMs: number): string {
  const { state, endReason, nextRoundAt } = task;
  if (state === "ended") {
    return endReason === undefined
      ? "The task has ended."
      : `The task has ended: ${END_WORDS[endReason]}.`;
  }
  if (state === "paused") return "The task is paused: no round starts until it is resumed.";
  const restMs = nextRoundAt === undefined ? 0 : Date.parse(nextRoundAt) - serverNowMs;
  if (restMs > 0) return `The next round starts in ${wholeSpanText(restMs)}.`;
  return "The next round starts as soon as clients wait for it.";
}

export const isOpen = ({ phase }: Pick<RoundResource, "phase">): boolean =>
  phase !== "committed" && phase !== "abandoned";

const joined = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1) ?? ""}`;
