/**
 * What a client has done for each task, as numbers: noisy updates and their cost, and rounds taken part in.
 * Pure. A noisy update costs mu = 1 / z, several the root of the sum of mu^2, whatever their noise was: so a
 * task that changes its noise or its delta under way is accounted for exactly (`protocol/src/gaussian-curve.ts`).
 */

import type { LocalNoise, ParticipationLimits, TaskId } from "@tributary/protocol";
import { epsilonOfGaussian, muOfGaussian } from "@tributary/protocol";

/** An epsilon that must not be passed, at its delta. */
export interface EpsilonLimit {
  readonly delta: number;
  readonly maxEpsilon: number;
}

/** Parts taken, and the strictest limits that the task has ever stated. */
export interface Participations extends ParticipationLimits {
  readonly count: number;
  /** Step of the newest one: the model version that it was to make. */
  readonly lastStep: number;
}

/** All that was done for one task of one coordinator. */
export interface TaskAccount {
  readonly origin: string;
  readonly taskId: TaskId;
  /** Noisy updates that were made, sent or not. */
  readonly updates: number;
  /** Sum of mu^2 over them. */
  readonly muSquared: number;
  /** The strictest limit that the task has ever stated. */
  readonly limit?: EpsilonLimit;
  readonly participations?: Participations;
}

export type TaskKey = Pick<TaskAccount, "origin" | "taskId">;

/** What an update asks of the account before it is made. */
export interface Draw {
  readonly localNoise?: LocalNoise;
  readonly participation?: ParticipationLimits & { readonly step: number };
}

/** Why a draw is not made; `tooEarly` passes with time. */
export interface Refused {
  readonly refused:
    "ownBudget" | "taskBudget" | "participations" | "tooEarly" | "noiseLeftOut" | "boundLeftOut";
  readonly message: string;
}

export const isRefused = (outcome: readonly TaskAccount[] | Refused): outcome is Refused =>
  "refused" in outcome;

export const accountOf = (accounts: readonly TaskAccount[], key: TaskKey): TaskAccount =>
  accounts.find((account) => isOf(account, key)) ?? {
    origin: key.origin,
    taskId: key.taskId,
    updates: 0,
    muSquared: 0,
  };

/** Of everything that is in the ledger: a client has one set of data, whoever asks for updates made from it. */
export const totalMuSquared = (accounts: readonly TaskAccount[]): number =>
  accounts.reduce((sum, { muSquared }) => sum + muSquared, 0);

export const epsilonAt = (muSquared: number, delta: number): number =>
  epsilonOfGaussian(Math.sqrt(muSquared), delta);

/** The greatest sum of mu^2 that a limit allows. */
export const mostMuSquared = ({ maxEpsilon, delta }: EpsilonLimit): number =>
  muOfGaussian(maxEpsilon, delta) ** 2;

/**
 * The accounts after a draw, or why there is none.
 * @param own the client's own limit, over all its tasks
 */
export function draw(
  accounts: readonly TaskAccount[],
  key: TaskKey,
  { localNoise, participation }: Draw,
  own: EpsilonLimit | undefined,
): readonly TaskAccount[] | Refused {
  let account = accountOf(accounts, key);
  const leftOut = leavesOut(account, localNoise !== undefined, participation !== undefined);
  if (leftOut !== undefined) return leftOut;
  if (localNoise !== undefined) {
    const limit = stricter(account.limit, localNoise);
    const cost = localNoise.noiseMultiplier ** -2;
    const refused =
      refusal("taskBudget", account.muSquared + cost, limit) ??
      (own === undefined ? undefined : refusal("ownBudget", totalMuSquared(accounts) + cost, own));
    if (refused !== undefined) return refused;
    account = {
      ...account,
      updates: account.updates + 1,
      muSquared: account.muSquared + cost,
      limit,
    };
  }
  if (participation !== undefined) {
    const participations = takePart(account.participations, participation);
    if ("refused" in participations) return participations;
    account = { ...account, participations };
  }
  return [...accounts.filter((other) => !isOf(other, key)), account];
}

/** What was promised of a task by its noise, or by its bound, is no longer true after an update without. */
function leavesOut(
  { taskId, limit, participations }: TaskAccount,
  hasNoise: boolean,
  isBounded: boolean,
): Refused | undefined {
  if (limit !== undefined && !hasNoise) {
    return {
      refused: "noiseLeftOut",
      message:
        `task "${taskId}" asks for updates without noise, and this client has sent it updates with local noise; ` +
        "a task without noise needs another task id",
    };
  }
  if (participations !== undefined && !isBounded) {
    return {
      refused: "boundLeftOut",
      message:
        `task "${taskId}" asks for updates without a bound on how often, and this client has taken part in it ` +
        "under one; a task without needs another task id",
    };
  }
  return undefined;
}

const isOf = (account: TaskAccount, { origin, taskId }: TaskKey) =>
  account.origin === origin && account.taskId === taskId;

function refusal(
  refused: "ownBudget" | "taskBudget",
  muSquared: number,
  limit: EpsilonLimit,
): Refused | undefined {
  // Also what is no number is refused, and what no ledger could remember.
  if (muSquared <= mostMuSquared(limit) && muSquared < Infinity) return undefined;
  const { delta, maxEpsilon } = limit;
  const whose = refused === "ownBudget" ? "this client's own" : "the task's";
  return {
    refused,
    message:
      `one more update would make epsilon ${epsilonAt(muSquared, delta).toPrecision(4)} at delta ${delta}, ` +
      `above ${whose} maxEpsilon of ${maxEpsilon}`,
  };
}

/** Limits are compared by the noise that they ask for. A task's limit may become stricter, never looser. */
function stricter(held: EpsilonLimit | undefined, { delta, maxEpsilon }: EpsilonLimit) {
  const stated = { delta, maxEpsilon };
  return held !== undefined && mostMuSquared(held) <= mostMuSquared(stated) ? held : stated;
}

function takePart(
  held: Participations | undefined,
  stated: ParticipationLimits & { readonly step: number },
): Participations | Refused {
  const { step } = stated;
  const minSeparation = Math.max(held?.minSeparation ?? 0, stated.minSeparation);
  const maxParticipations = Math.min(held?.maxParticipations ?? Infinity, stated.maxParticipations);
  const limit = { minSeparation, maxParticipations };
  if (held === undefined) return { count: 1, lastStep: step, ...limit };
  // The same step again, after a restart or an abandoned round, is the same participation.
  if (step === held.lastStep) return { ...held, ...limit };
  if (held.count >= maxParticipations) {
    return {
      refused: "participations",
      message: `this client has taken part ${held.count} times, the task allows ${maxParticipations}`,
    };
  }
  if (step - held.lastStep >= minSeparation) {
    return { count: held.count + 1, lastStep: step, ...limit };
  }
  return {
    refused: "tooEarly",
    message: `this client took part in step ${held.lastStep}; step ${step} is not ${minSeparation} later`,
  };
}
