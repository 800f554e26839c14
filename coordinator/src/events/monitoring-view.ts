/**
 * Who sees what of a task under differential privacy. The promise is against whoever sees released models;
 * so whoever is not the operator sees nothing else that depends on its clients, unless it was paid for from
 * the budget. One list for each resource: a field that is new does not compile until it stands here, and
 * what is not `shown` here is not shown.
 *
 * When rounds begin and end, and whether they publish, everybody sees who takes part or reads models.
 */

import type {
  AbandonReason,
  ModelResource,
  MonitoringEvent,
  RoundResource,
  TaskId,
  TaskResource,
} from "@tributary/protocol";

type Visibility = "shown" | "withheld";
type Fields<Resource> = Readonly<Record<keyof Resource, Visibility>>;

const ROUND: Fields<RoundResource> = {
  roundId: "shown",
  taskId: "shown",
  roundNumber: "shown",
  phase: "shown",
  // Only the operator's own doing, see `reasonToTell`.
  reason: "shown",
  baseModelVersion: "shown",
  modelVersion: "shown",
  openedAt: "shown",
  endedAt: "shown",
  // The last call brings it forward, which tells of a report.
  deadlineAt: "withheld",
  // How long the slowest client took may tell how much data it has.
  phases: "withheld",
  participants: "withheld",
  rejections: "withheld",
  updateBytes: "withheld",
  // Released by the rounds before, and paid for there.
  clippingNorm: "shown",
  trainLoss: "withheld",
  // Only by the operator's own data, see `roundFor`.
  evaluation: "shown",
  epsilon: "shown",
};

const MODEL: Fields<ModelResource> = {
  modelVersion: "shown",
  digest: "shown",
  bytes: "shown",
  url: "shown",
  signed: "shown",
  taskId: "shown",
  roundNumber: "shown",
  createdAt: "shown",
  layoutDigest: "shown",
  evaluation: "shown",
  copies: "shown",
};

const TASK: Fields<TaskResource> = {
  taskId: "shown",
  state: "shown",
  endReason: "shown",
  createdAt: "shown",
  // What its author wrote.
  spec: "shown",
  layout: "shown",
  checkpoint: "shown",
  roundsCommitted: "shown",
  roundsAbandoned: "shown",
  clientsWaiting: "withheld",
  currentRound: "shown",
  evaluation: "shown",
  nextRoundAt: "shown",
};

/** The fields that a list shows, and no other, whatever else the resource has. */
function shownOf<Resource extends object>(resource: Resource, fields: Fields<Resource>): Resource {
  const shown = Object.entries(resource).filter(
    ([name]) => fields[name as keyof Resource] === "shown",
  );
  // Every field that a list withholds is optional in its type.
  return Object.fromEntries(shown) as unknown as Resource;
}

/** Sums that clients sent are not paid for; a central evaluation judges a released model on other data. */
function withoutClientsSums<Resource extends RoundResource | ModelResource | TaskResource>(
  resource: Resource,
): Resource {
  if (resource.evaluation === undefined || resource.evaluation.source === "central") {
    return resource;
  }
  const rest = { ...resource };
  delete (rest as { evaluation?: unknown }).evaluation;
  return rest;
}

/** A reason that may be told: any of a plain task, of a private one only what the operator did. */
export function reasonToTell(
  isPrivate: boolean,
  reason: AbandonReason | undefined,
): AbandonReason | undefined {
  if (!isPrivate || reason === "cancelled" || reason === "paused") return reason;
  return undefined;
}

function privateRound(round: RoundResource): RoundResource {
  const { reason: full, ...rest } = shownOf(withoutClientsSums(round), ROUND);
  const reason = reasonToTell(true, full);
  return reason === undefined ? rest : { ...rest, reason };
}

const privateModel = (model: ModelResource): ModelResource =>
  shownOf(withoutClientsSums(model), MODEL);

function privateTask(task: TaskResource): TaskResource {
  const { currentRound, ...rest } = shownOf(withoutClientsSums(task), TASK);
  return currentRound === undefined ? rest : { ...rest, currentRound: privateRound(currentRound) };
}

/** What somebody sees. */
export interface MonitoringView {
  task(task: TaskResource): TaskResource;
  round(round: RoundResource): RoundResource;
  model(model: ModelResource): ModelResource;
  /** @returns undefined for an event that is not for them */
  event(event: MonitoringEvent): MonitoringEvent | undefined;
}

/** The operator adds the updates up and sees everything anyway. */
export const operatorView: MonitoringView = {
  task: (task) => task,
  round: (round) => round,
  model: (model) => model,
  event: (event) => event,
};

/** @param isPrivate of a task that nobody knows: true */
export function createPublicView(isPrivate: (taskId: TaskId) => boolean): MonitoringView {
  return {
    task: (task) => (isPrivate(task.taskId) ? privateTask(task) : task),
    round: (round) => (isPrivate(round.taskId) ? privateRound(round) : round),
    model: (model) => (isPrivate(model.taskId) ? privateModel(model) : model),
    event: (event) => (isPrivate(event.taskId) ? privateEvent(event) : event),
  };
}

function privateEvent(event: MonitoringEvent): MonitoringEvent | undefined {
  switch (event.type) {
    case "round:phaseChanged":
      return { ...event, data: privateRound(event.data) };
    case "model:published":
      return { ...event, data: privateModel(event.data) };
    case "task:created":
    case "task:stateChanged":
      return event;
    // It tells how far the reports are, and nothing else.
    case "round:progress":
      return undefined;
  }
}
