/** The state of a participation in words that need no knowledge of federated learning. */

import type { PauseReason } from "@tributary/client-sdk";
import type { TaskView } from "@tributary/client-sdk/react";

export interface Words {
  /** Decides colour and sign. */
  readonly tone: "off" | "waiting" | "working" | "done" | "paused" | "trouble";
  readonly title: string;
  readonly detail: string;
}

const PAUSED: Readonly<Record<PauseReason, string>> = {
  user: "You have paused it.",
  consent: "You have not agreed to take part, or not any more.",
  hidden: "This page is out of sight. It goes on when you look at it again.",
  battery: "The battery is low. It goes on when it charges.",
  saveData: "Your browser is asked to save data.",
  metered: "You are on a mobile network.",
  otherTab: "Another tab of this page is training already.",
};

export interface Circumstances {
  readonly online: boolean;
  readonly ended: boolean;
  readonly drawings: number;
  readonly agreed: boolean;
  /** The visitor has left, and may come back. */
  readonly left: boolean;
}

export const drawingsInWords = (count: number): string =>
  count === 1 ? "1 drawing" : `${count} drawings`;

/** @param task the participation, where there is one */
export function describe(task: TaskView, now: Circumstances): Words {
  if (now.ended) {
    return {
      tone: "off",
      title: "Training has ended",
      detail: "No more rounds. The model goes on reading your digits on this device.",
    };
  }
  if (!now.agreed || now.left) {
    return {
      tone: "off",
      title: "You are not taking part",
      detail: "Nothing leaves this device. The model reads your digits all the same.",
    };
  }
  if (now.drawings === 0) {
    return {
      tone: "waiting",
      title: "Waiting for a first drawing",
      detail: "Draw a digit and say which it is: then there is something to train on.",
    };
  }
  const [reason] = task.pausedBy;
  if (reason !== undefined) return { tone: "paused", title: "Paused", detail: PAUSED[reason] };
  if (!now.online) {
    return {
      tone: "trouble",
      title: "No connection",
      detail:
        "The model here goes on reading digits. Training goes on when the coordinator is back.",
    };
  }
  return describeWork(task, now.drawings);
}

function describeWork(task: TaskView, drawings: number): Words {
  const round = task.assignment === undefined ? "" : ` ${task.assignment.roundNumber}`;
  switch (task.state) {
    case "training":
      return {
        tone: "working",
        title: `Training in round${round}`,
        detail: `In your browser, on your ${drawingsInWords(drawings)}.`,
      };
    case "reporting":
      return {
        tone: "working",
        title: `Sending what was learned in round${round}`,
        detail: "The change of the model, and none of your drawings.",
      };
    case "awaitingClose":
      return {
        tone: "done",
        title: `Your update is counted in round${round}`,
        detail: "Now the others finish, and all changes are put together.",
      };
    case "backingOff":
      return {
        tone: "trouble",
        title: "Trying again in a moment",
        detail: task.error?.message ?? "Something went wrong on the way.",
      };
    case "ended":
      return {
        tone: "trouble",
        title: "This browser has stopped taking part",
        detail: task.end?.reason === "failed" ? task.end.error.message : "Take part again below.",
      };
    case "notJoined":
    case "idle":
    case "checkingIn":
    case "waiting":
    case "paused":
      return {
        tone: "waiting",
        title: "Waiting for the next round",
        detail: "Rounds begin every few seconds.",
      };
  }
}
