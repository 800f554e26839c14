/** What an event changes of a task that was loaded before. Pure: the same event again changes nothing. */

import type { MonitoringEvent, RoundPhase, RoundResource, TaskResource } from "@tributary/protocol";

import { isOpen } from "../model/round-now.ts";

const ORDER: Readonly<Record<RoundPhase, number>> = {
  selecting: 0,
  reporting: 1,
  aggregating: 2,
  committed: 3,
  abandoned: 3,
};

/** @returns the same object where the event says nothing new, because what was loaded has overtaken it */
export function applyEvent(task: TaskResource, event: MonitoringEvent): TaskResource {
  switch (event.type) {
    case "task:created":
      return task;
    case "task:stateChanged": {
      const { state, reason } = event.data;
      if (task.state === "ended" || (task.state === state && reason === task.endReason))
        return task;
      const changed = { ...task, state, ...(reason === undefined ? {} : { endReason: reason }) };
      return state === "running" ? changed : withoutRest(changed);
    }
    case "model:published": {
      const { modelVersion, digest, bytes, url, signed, evaluation } = event.data;
      if (modelVersion <= task.checkpoint.modelVersion) return task;
      const checkpoint = { modelVersion, digest, bytes, url, signed };
      if (evaluation === undefined) return { ...task, checkpoint };
      return { ...task, checkpoint, evaluation: { ...evaluation, modelVersion } };
    }
    case "round:phaseChanged":
    case "round:progress":
      return isOpen(event.data)
        ? openRound(task, event.data)
        : endRound(task, event.data, Date.parse(event.at));
  }
}

/** Rounds are numbered without a gap, so that as many have ended as the last one's number says. */
const roundsEnded = (task: TaskResource) => task.roundsCommitted + task.roundsAbandoned;

/** Is `a` a later state of the rounds than `b`: a newer round, or the same one in a later phase? */
export const isLater = (a: RoundResource, b: RoundResource): boolean =>
  a.roundNumber > b.roundNumber ||
  (a.roundNumber === b.roundNumber && ORDER[a.phase] > ORDER[b.phase]);

function openRound(task: TaskResource, round: RoundResource): TaskResource {
  const { currentRound } = task;
  if (round.roundNumber <= roundsEnded(task)) return task;
  if (currentRound !== undefined && isLater(currentRound, round)) return task;
  return { ...withoutRest(task), currentRound: round };
}

function endRound(task: TaskResource, round: RoundResource, atMs: number): TaskResource {
  if (round.roundNumber <= roundsEnded(task)) return task;
  const committed = round.phase === "committed";
  const { evaluation } = round;
  const isNewer =
    evaluation !== undefined && evaluation.modelVersion >= (task.evaluation?.modelVersion ?? 0);
  const restMs = task.spec.schedule.pauseBetweenRoundsMs;
  const rests = committed && restMs > 0 && task.state === "running";
  // Of several that ended unseen, the others have to be loaded; the count is right again then.
  return {
    ...withoutRound(task),
    roundsCommitted: task.roundsCommitted + (committed ? 1 : 0),
    roundsAbandoned: task.roundsAbandoned + (committed ? 0 : 1),
    ...(isNewer ? { evaluation } : {}),
    ...(rests ? { nextRoundAt: new Date(atMs + restMs).toISOString() } : {}),
  };
}

function withoutRest(task: TaskResource): TaskResource {
  const rest = { ...task };
  delete (rest as { nextRoundAt?: unknown }).nextRoundAt;
  return rest;
}

function withoutRound(task: TaskResource): TaskResource {
  const rest = { ...task };
  delete (rest as { currentRound?: unknown }).currentRound;
  return rest;
}

/** Has the task lost count, because rounds ended that this page was not told of? */
export const missedRounds = (task: TaskResource, event: MonitoringEvent): boolean =>
  (event.type === "round:phaseChanged" || event.type === "round:progress") &&
  event.data.roundNumber > roundsEnded(task) + 1;
