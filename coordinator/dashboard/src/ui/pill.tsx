/** States as coloured words. */

import type { TaskResource } from "@tributary/protocol";

import { END_WORDS, STATE_WORDS } from "../model/words.ts";

/** `title` tells why a task ended; where there is room the sentence stands beside it. */
export function TaskPill({ task }: { readonly task: Pick<TaskResource, "state" | "endReason"> }) {
  const { state, endReason } = task;
  const kind =
    endReason === "targetReached" || endReason === "maxRoundsReached"
      ? "good"
      : endReason === "noiseStateLost"
        ? "bad"
        : state;
  return (
    <span
      class={`pill pill-${kind}`}
      title={endReason === undefined ? undefined : `Ended: ${END_WORDS[endReason]}`}
    >
      {STATE_WORDS[state]}
    </span>
  );
}
