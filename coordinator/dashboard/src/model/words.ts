/** Codes of the API in words: why rounds were abandoned, why tasks ended, what was refused. */

import type {
  AbandonReason,
  ErrorCode,
  RoundPhase,
  TaskEndReason,
  TaskResource,
  TaskState,
} from "@tributary/protocol";

export const PHASE_WORDS: Readonly<Record<RoundPhase, string>> = {
  selecting: "Selecting",
  reporting: "Reporting",
  aggregating: "Aggregating",
  committed: "Committed",
  abandoned: "Abandoned",
};

export const STATE_WORDS: Readonly<Record<TaskState, string>> = {
  running: "Running",
  paused: "Paused",
  ended: "Ended",
};

export const END_WORDS: Readonly<Record<TaskEndReason, string>> = {
  maxRoundsReached: "all its rounds are done",
  targetReached: "its target is reached",
  privacyBudgetExhausted: "its privacy budget is spent",
  noiseStateLost: "what its noise goes on from is lost",
  cancelled: "an operator cancelled it",
};

export const ABANDON_WORDS: Readonly<Record<AbandonReason, string>> = {
  tooFewClients: "too few clients came",
  tooFewReports: "too few clients reported",
  aggregationFailed: "the aggregation failed",
  aggregationTimedOut: "the aggregation took too long",
  cancelled: "an operator cancelled the task",
  paused: "an operator paused the task",
};

const REFUSALS: Partial<Readonly<Record<ErrorCode, string>>> = {
  UPDATE_LAYOUT_MISMATCH: "Update does not fit the model",
  UPDATE_NOT_FINITE: "Update has values that are no numbers",
  UPDATE_TOO_LARGE: "Update is too large",
  UPDATE_CORRUPT: "Update was damaged on its way",
  UPDATE_ENCODING_MISMATCH: "Another encoding than the plan’s",
  ENCODING_UNSUPPORTED: "An encoding that the client does not know",
  UPDATE_CONFLICT: "A second, different update",
  PAYLOAD_TOO_LARGE: "Body is too large",
  MALFORMED_MESSAGE: "Update cannot be read",
  ROUND_CLOSED: "Came after the round had closed",
  NOT_IN_COHORT: "Not in the cohort",
  UNAVAILABLE: "The coordinator was busy",
  RATE_LIMITED: "Came too often",
};

/** Why an update was refused; a code without words of its own stands for itself. */
export const refusalWords = (code: ErrorCode): string =>
  REFUSALS[code] ?? code.toLowerCase().replaceAll("_", " ");

/** `Ended: its target is reached`. */
export function taskStateWords({
  state,
  endReason,
}: Pick<TaskResource, "state" | "endReason">): string {
  return endReason === undefined
    ? STATE_WORDS[state]
    : `${STATE_WORDS[state]}: ${END_WORDS[endReason]}`;
}

/** Said wherever something is not shown for privacy's sake. */
export const WITHHELD =
  "Not shown to protect the clients: this task is under differential privacy, and the numbers of single rounds are not paid for from its budget. The operator’s token shows them.";
