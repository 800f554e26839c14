/** Who may be in the next step of a matrix run, and whether there is a next one. Tasks without limits: everybody. */

import type { ClientId, TaskEndReason } from "@tributary/protocol";
import { FederatedError, isFederatedError } from "@tributary/protocol";

import type { Logger, Store, TaskRecord } from "../ports.ts";
import { loadNoiseState } from "./matrix-run.ts";
import { participationLimitsOf, stepsToWait } from "./participation.ts";
import { Refusal } from "./refusal.ts";

type Participations = Pick<Store, "participation">;

/** Bounds of what a client is told to wait, however long its steps may take. */
const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;

/** How far a run is when its last round has ended. */
export interface RunProgress {
  /** Steps taken: the number of the next one. */
  readonly step: number;
  /** What the latest step took; 0 before there was one. */
  readonly stepMs: number;
}

/** Those of the clients that may be in `step`, in their order. */
export async function clientsThatMay(
  store: Participations,
  { spec, taskId }: TaskRecord,
  clients: readonly ClientId[],
  step: number,
): Promise<readonly ClientId[]> {
  const limits = participationLimitsOf(spec);
  if (limits === undefined) return clients;
  const may: ClientId[] = [];
  for (const clientId of clients) {
    if (stepsToWait(await store.participation(taskId, clientId), step, limits) === 0) {
      may.push(clientId);
    }
  }
  return may;
}

/**
 * Whoever may not be in the next step does not get into the waiting room, and opens no round.
 * @throws Refusal RATE_LIMITED with the time after which to ask again, PRIVACY_BUDGET_EXHAUSTED for good
 */
export async function requireMay(
  { store }: { readonly store: Participations },
  { spec, taskId }: TaskRecord,
  clientId: ClientId,
  { step, stepMs }: RunProgress,
): Promise<void> {
  const limits = participationLimitsOf(spec);
  if (limits === undefined) return;
  const wait = stepsToWait(await store.participation(taskId, clientId), step, limits);
  if (wait === 0) return;
  if (wait === Infinity) {
    const message = `this client was in ${limits.maxParticipations} rounds of task "${taskId}", which is all that its privacy allows`;
    throw new Refusal("PRIVACY_BUDGET_EXHAUSTED", message);
  }
  const retryAfterMs = Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, wait * stepMs));
  const message = `${wait} more rounds of task "${taskId}" must be released before this client may be in one again (privacy.minSeparation)`;
  throw Refusal.of(
    new FederatedError("RATE_LIMITED", message, { retryAfterMs, details: { roundsToWait: wait } }),
  );
}

/** Why no step can follow; undefined where one can. The other tasks go on in any case. */
export async function runOver(
  { store, logger }: { readonly store: Pick<Store, "noiseState">; readonly logger: Logger },
  task: TaskRecord,
  step: number,
): Promise<TaskEndReason | undefined> {
  const { privacy } = task.spec;
  if (privacy.mechanism !== "matrix" || task.state === "ended") return undefined;
  if (step >= privacy.rounds) return "maxRoundsReached";
  try {
    await loadNoiseState(store, task, privacy, step);
    return undefined;
  } catch (error) {
    // A disk that fails now may work again; what is missing or damaged stays so.
    if (!isFederatedError(error) || error.code !== "INTERNAL") throw error;
    logger.error({ taskId: task.taskId, error }, "the task ends: its noise cannot be gone on with");
    return "noiseStateLost";
  }
}
