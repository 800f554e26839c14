/**
 * Going on from a backup. What came after it is forgotten, and of that one thing cannot be made good: models
 * that a private task released since are out in the world, and the older ledger does not charge for them. A matrix
 * run would even take the same steps again with other noise, and let its participants in anew: it ends, whatever
 * anybody says.
 */

import type { TaskId } from "@tributary/protocol";
import { FederatedError, isCharged } from "@tributary/protocol";

import type {
  AbandonedRoundRecord,
  Clock,
  Logger,
  OpenRoundRecord,
  Store,
  TaskRecord,
} from "../ports.ts";
import type { SqliteStore } from "./sqlite.ts";

/**
 * Does nothing for a store that is no backup. Otherwise it is a store like any other from now on.
 * @param options.acceptOlderLedger somebody answers for it that no model was released after the backup
 * @throws FederatedError CONFIG_INVALID where a private task could release more than its budget
 */
export async function goOnFromBackup(
  {
    store,
    logger,
    clock,
  }: { store: SqliteStore; logger: Pick<Logger, "warn">; clock: Pick<Clock, "now"> },
  options: { readonly acceptOlderLedger?: boolean } = {},
): Promise<void> {
  if (store.backupTakenAt === undefined) return;
  const takenAt = new Date(store.backupTakenAt).toISOString();
  const tasks = await store.listTasks();
  const atRisk = tasksAtRisk(tasks);
  if (atRisk.length > 0 && options.acceptOlderLedger !== true) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `this is a backup of ${takenAt}, and its privacy ledger does not know what was released since: task ${atRisk.join(", ")} could spend more than its budget; if nothing was released after it, say so with \`tributary store restore --accept-older-ledger\``,
    );
  }
  for (const { taskId } of tasks.filter(isRunning)) {
    await endRun(store, taskId, clock);
    logger.warn(
      { taskId },
      `task "${taskId}" ends here: a matrix run is not gone on with from a backup, which would release steps twice; create another task to go on`,
    );
  }
  await record(store, takenAt, atRisk.length > 0);
  await store.acceptBackup();
  // Nobody else will think of what gives access again.
  logger.warn(
    { takenAt },
    "going on from a backup: what came after it is forgotten; revoke again the enrolment tokens that were revoked since (`tributary tokens list`), and if the signing key was rotated since, the former one signs again (`tributary keys list`)",
  );
}

/** Tasks that may still release models under a budget. Of those that do not go on nothing is at risk. */
export const tasksAtRisk = (tasks: readonly TaskRecord[]): TaskId[] =>
  tasks
    .filter((task) => isCharged(task.spec) && task.state !== "ended" && !isRunning(task))
    .map(({ taskId }) => taskId);

const isRunning = ({ spec, state }: TaskRecord) =>
  spec.privacy.mechanism === "matrix" && state !== "ended";

/** With its open round, of which nothing will come. */
async function endRun(store: Store, taskId: TaskId, clock: Pick<Clock, "now">): Promise<void> {
  const open = await store.getOpenRound(taskId);
  if (open !== undefined) {
    await store.abandonRound({ round: abandoned(open.round, clock), keepCharge: true });
  }
  await store.setTaskState(taskId, "ended", "noiseStateLost");
}

function abandoned(round: OpenRoundRecord, clock: Pick<Clock, "now">): AbandonedRoundRecord {
  const { roundId, taskId, roundNumber, baseModelVersion, openedAt } = round;
  const { phases, participants, rejections, updateBytes } = round;
  const { pending, timedOut } = participants;
  return {
    ...{
      roundId,
      taskId,
      roundNumber,
      baseModelVersion,
      openedAt,
      phases,
      rejections,
      updateBytes,
    },
    phase: "abandoned",
    reason: "cancelled",
    participants: { ...participants, pending: 0, timedOut: timedOut + pending },
    endedAt: clock.now(),
  };
}

const record = ({ audit }: Store, takenAt: string, olderLedger: boolean) =>
  audit.append({
    kind: "store:restored",
    actor: "operator",
    facts: { takenAt, olderLedgerAccepted: olderLedger ? "yes" : "no private task runs" },
  });
