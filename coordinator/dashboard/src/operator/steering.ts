/** What an operator may do to a task, and in words what becomes of it. */

import type { RoundResource, TaskResource } from "@tributary/protocol";
import { routes } from "@tributary/protocol";

import { counted, countText } from "../model/format.ts";
import { isOpen } from "../model/round-now.ts";

export type ActionName = "pause" | "resume" | "cancel";

export const ACTIONS = {
  pause: {
    title: "Pause",
    route: routes.pauseTask,
    done: "is paused: a round that is open is finished, and no other begins.",
    failed: "could not be paused",
  },
  resume: {
    title: "Resume",
    route: routes.resumeTask,
    done: "goes on: a round begins as soon as enough clients wait.",
    failed: "could not be resumed",
  },
  cancel: {
    title: "Cancel task",
    route: routes.cancelTask,
    done: "is cancelled.",
    failed: "could not be cancelled",
  },
} as const;

/** In the order of their buttons. A task that has ended has none. */
export function actionsFor({ state }: Pick<TaskResource, "state">): readonly ActionName[] {
  switch (state) {
    case "running":
      return ["pause", "cancel"];
    case "paused":
      return ["resume", "cancel"];
    case "ended":
      return [];
  }
}

/** What cancelling a task takes away, and what it leaves. One sentence each. */
export function lossesOf(
  { roundsCommitted, checkpoint, spec }: TaskResource,
  round: RoundResource | undefined,
): readonly string[] {
  const open = round !== undefined && isOpen(round) ? round : undefined;
  const pending = open?.participants?.pending ?? 0;
  const trained =
    pending === 0 ? "" : `, and the work of ${counted(pending, "client")} in it is lost`;
  return [
    ...(open === undefined
      ? []
      : [`Round ${countText(open.roundNumber)}, which is open, is abandoned${trained}.`]),
    "The task ends for ever: it cannot be resumed, and its name is not free again.",
    ...(spec.privacy.mechanism === "none" || spec.privacy.mechanism === "local"
      ? []
      : ["What was spent of its privacy budget stays spent."]),
    `Kept: the model as it is, version ${countText(checkpoint.modelVersion)} after ${counted(roundsCommitted, "committed round")}. Clients go on serving it.`,
  ];
}
