/** What became of the updates that this page has sent. */

import type { TaskView } from "@tributary/client-sdk/react";
import { useEffect, useState, useSyncExternalStore } from "react";

import type { SentUpdate, SentUpdates } from "./sent-updates.ts";

export interface Contribution extends SentUpdate {
  readonly roundNumber: number;
  readonly status: "sent" | "counted" | "committed" | "lost";
  /** The version it is part of; only with `committed`. */
  readonly modelVersion?: number;
}

type Fate = Partial<Pick<Contribution, "roundNumber" | "status" | "modelVersion">>;

/** Newest first. */
export function useContributions(sent: SentUpdates, task: TaskView): readonly Contribution[] {
  const updates = useSyncExternalStore(sent.subscribe, () => sent.all);
  const [fates, setFates] = useState<Readonly<Record<string, Fate>>>({});
  const { assignment, receipt, closed } = task;

  const learn = (roundId: string, fate: Fate) =>
    setFates((before) => ({ ...before, [roundId]: { ...before[roundId], ...fate } }));

  useEffect(() => {
    if (assignment !== undefined) {
      learn(assignment.roundId, { roundNumber: assignment.roundNumber });
    }
  }, [assignment]);

  useEffect(() => {
    if (receipt === undefined) return;
    const { roundId, status, modelVersion } = receipt;
    if (status === "accepted") learn(roundId, { status: "counted" });
    else learn(roundId, { status, ...(modelVersion === undefined ? {} : { modelVersion }) });
  }, [receipt]);

  useEffect(() => {
    if (closed === undefined) return;
    const { roundId, outcome } = closed;
    if (outcome === "committed") {
      const { modelVersion } = closed;
      setFates((before) => {
        // A round that this client was in, and did not finish in time, is no contribution.
        if (before[roundId]?.status === undefined) return before;
        return { ...before, [roundId]: { ...before[roundId], status: "committed", modelVersion } };
      });
    } else learn(roundId, { status: "lost" });
  }, [closed]);

  return [...updates]
    .reverse()
    .map((update) => ({ roundNumber: 0, status: "sent", ...update, ...fates[update.roundId] }));
}
