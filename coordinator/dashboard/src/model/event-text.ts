/** One line for an event. */

import type { MonitoringEvent, RoundResource } from "@tributary/protocol";

import type { LogKind, LogTone } from "../data/event-log.ts";
import { countText, decimalText, epsilonText, percentText, spanText } from "./format.ts";
import { ABANDON_WORDS, END_WORDS, STATE_WORDS } from "./words.ts";

export interface EventText {
  readonly kind: LogKind;
  readonly tone: LogTone;
  readonly text: string;
}

/** @returns undefined for an event that is no line of its own */
export function eventText(event: MonitoringEvent): EventText | undefined {
  switch (event.type) {
    case "task:created":
      return { kind: "task", tone: "plain", text: "Task created" };
    case "task:stateChanged": {
      const { state, reason } = event.data;
      const why = reason === undefined ? "" : `: ${END_WORDS[reason]}`;
      const tone = reason === "noiseStateLost" ? "bad" : "plain";
      return { kind: "task", tone, text: `Task ${STATE_WORDS[state].toLowerCase()}${why}` };
    }
    case "model:published":
      return {
        kind: "model",
        tone: "good",
        text: `Version ${countText(event.data.modelVersion)} published`,
      };
    case "round:phaseChanged":
      return { kind: "round", ...roundText(event.data) };
    case "round:progress":
      return undefined;
  }
}

function roundText(round: RoundResource): Pick<EventText, "tone" | "text"> {
  const name = `Round ${countText(round.roundNumber)}`;
  switch (round.phase) {
    case "selecting":
      return { tone: "plain", text: `${name} opened, waiting for clients` };
    case "reporting": {
      const { participants } = round;
      const cohort =
        participants === undefined ? "" : `, ${countText(participants.selected)} clients selected`;
      return { tone: "plain", text: `${name} is training${cohort}` };
    }
    case "aggregating": {
      const { participants } = round;
      const reports =
        participants === undefined ? "" : ` of ${countText(participants.reported)} reports`;
      return { tone: "plain", text: `${name} adds up the sum${reports}` };
    }
    case "committed":
      return { tone: "good", text: [`${name} committed`, ...resultsOf(round)].join(", ") };
    case "abandoned": {
      const why = round.reason === undefined ? "" : `: ${ABANDON_WORDS[round.reason]}`;
      const meant = round.reason === "cancelled" || round.reason === "paused";
      return { tone: meant ? "plain" : "bad", text: `${name} abandoned${why}` };
    }
  }
}

function resultsOf({ evaluation, openedAt, endedAt, epsilon }: RoundResource): string[] {
  return [
    ...(evaluation?.accuracy === undefined ? [] : [`accuracy ${percentText(evaluation.accuracy)}`]),
    ...(evaluation !== undefined && evaluation.accuracy === undefined
      ? [`loss ${decimalText(evaluation.loss)}`]
      : []),
    ...(epsilon === undefined ? [] : [`ε ${epsilonText(epsilon)}`]),
    ...(endedAt === undefined ? [] : [spanText(Date.parse(endedAt) - Date.parse(openedAt))]),
  ];
}
