/** Where the clients of a round are: waiting, selected, and what became of the selected ones. */

import type { ErrorCode, RoundResource, TaskResource } from "@tributary/protocol";

import { refusalWords } from "./words.ts";

export type FunnelPart =
  "reported" | "pending" | "rejected" | "declined" | "left" | "disconnected" | "timedOut";

export interface FunnelStep {
  readonly part: FunnelPart;
  readonly label: string;
  /** What the label means, in a sentence. */
  readonly meaning: string;
  readonly count: number;
  /** Of the selected ones, from 0 to 1; 0 while nobody is selected. */
  readonly share: number;
}

export interface Funnel {
  /** Clients that wait for a round; undefined where that is not told. */
  readonly waiting: number | undefined;
  readonly selected: number;
  /** In the order in which they are drawn; they add up to `selected`. */
  readonly steps: readonly FunnelStep[];
  /** Refused updates by code, the most frequent first. One client may send several. */
  readonly refusals: readonly {
    readonly code: ErrorCode;
    readonly words: string;
    readonly count: number;
  }[];
}

const PARTS: readonly Pick<FunnelStep, "part" | "label" | "meaning">[] = [
  { part: "reported", label: "Reported", meaning: "Their updates are in the sum." },
  { part: "pending", label: "Training", meaning: "Selected, and their reports are awaited." },
  {
    part: "rejected",
    label: "Rejected",
    meaning: "Their updates were refused, with no good one after.",
  },
  { part: "declined", label: "Declined", meaning: "They did not want this round." },
  { part: "left", label: "Left", meaning: "They said goodbye during the round." },
  {
    part: "disconnected",
    label: "Dropped",
    meaning: "Their connection was lost without a report.",
  },
  { part: "timedOut", label: "Timed out", meaning: "Connected, but silent until reports closed." },
];

/** @returns undefined where the round does not tell: under privacy it does for the operator alone */
export function cohortFunnel(
  round: RoundResource,
  clientsWaiting: TaskResource["clientsWaiting"],
): Funnel | undefined {
  const { participants, rejections } = round;
  if (participants === undefined) return undefined;
  const { selected } = participants;
  return {
    waiting: clientsWaiting,
    selected,
    steps: PARTS.map((part) => {
      const count = participants[part.part];
      return { ...part, count, share: selected === 0 ? 0 : count / selected };
    }),
    refusals: Object.entries(rejections ?? {})
      .map(([code, count]) => ({
        code: code as ErrorCode,
        words: refusalWords(code as ErrorCode),
        count,
      }))
      .sort((a, b) => b.count - a.count),
  };
}

/** Is something of this task kept from whoever looks? Under privacy only the operator is told who waits. */
export const isWithheld = ({ spec, clientsWaiting }: TaskResource): boolean =>
  spec.privacy.mechanism !== "none" && clientsWaiting === undefined;
