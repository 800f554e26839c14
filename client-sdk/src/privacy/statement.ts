/** What a client has spent and what is left, in numbers and in words. */

import type { TaskId } from "@tributary/protocol";
import { roundedUp } from "@tributary/protocol";

import type { EpsilonLimit, TaskAccount, TaskKey } from "./account.ts";
import { accountOf, epsilonAt, totalMuSquared } from "./account.ts";

/** A budget and how far it is spent; every epsilon is at `delta`. */
export interface SpentBudget extends EpsilonLimit {
  readonly epsilon: number;
  /** `maxEpsilon - epsilon`: epsilons do not add up, so this is no number of updates. */
  readonly epsilonLeft: number;
}

/** What the updates of this client promise. */
export interface ClientPrivacy {
  readonly taskId: TaskId;
  /** Noisy updates made for the task, sent or not. */
  readonly updates: number;
  /** Of the task, by the strictest limit that it ever stated; absent before the first noisy update. */
  readonly task?: SpentBudget;
  /** Of everything in the ledger, by this client's own `maxEpsilon`; absent without one. */
  readonly own?: SpentBudget;
  /** Parts taken in rounds, where the task bounds their number. */
  readonly participations?: {
    readonly count: number;
    readonly minSeparation: number;
    readonly maxParticipations: number;
  };
  /** The promise in words. */
  readonly statement: string;
}

export function clientPrivacy(
  accounts: readonly TaskAccount[],
  key: TaskKey,
  own: EpsilonLimit | undefined,
): ClientPrivacy {
  const { taskId, updates, muSquared, limit, participations } = accountOf(accounts, key);
  const task = limit === undefined ? undefined : spentOf(limit, muSquared);
  const ofAll = own === undefined ? undefined : spentOf(own, totalMuSquared(accounts));
  return {
    taskId,
    updates,
    ...(task === undefined ? {} : { task }),
    ...(ofAll === undefined ? {} : { own: ofAll }),
    ...(participations === undefined
      ? {}
      : {
          participations: {
            count: participations.count,
            minSeparation: participations.minSeparation,
            maxParticipations: participations.maxParticipations,
          },
        }),
    statement: statementOf(taskId, updates, task, ofAll),
  };
}

function spentOf({ delta, maxEpsilon }: EpsilonLimit, muSquared: number): SpentBudget {
  const epsilon = epsilonAt(muSquared, delta);
  return { delta, maxEpsilon, epsilon, epsilonLeft: Math.max(0, maxEpsilon - epsilon) };
}

function statementOf(
  taskId: TaskId,
  updates: number,
  task: SpentBudget | undefined,
  own: SpentBudget | undefined,
): string {
  const all =
    own === undefined
      ? ""
      : ` For the noisy updates of all tasks together: epsilon = ${upwards(own.epsilon)} at delta = ${own.delta} of at most ${own.maxEpsilon}.`;
  if (task === undefined) {
    return `No update with local noise was made for task "${taskId}".${all}`;
  }
  return (
    `Whatever this client's data were, any set of noisy updates that it sent for task "${taskId}" was as likely to a factor ` +
    `e^epsilon, up to delta, with epsilon = ${upwards(task.epsilon)} and delta = ${task.delta} after ${updates} noisy ` +
    `updates, of at most ${task.maxEpsilon} (neighbours: any other data of this client; accountant: exact Gaussian).${all} ` +
    "The noise was added here, so this holds against everybody, the coordinator included. That this client took " +
    "part, when, how long it worked and whether it gave a round up is not hidden."
  );
}

/** Four digits, never less than the number. */
const upwards = (value: number): string => roundedUp(value, 4);
