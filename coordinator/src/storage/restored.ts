/**
 * Going on from a backup. What came after it is forgotten, and of that one thing cannot be made good: models
 * that a private task released since are out in the world, and the older ledger does not charge for them.
 */

import type { TaskId } from "@tributary/protocol";
import { FederatedError, isCharged } from "@tributary/protocol";

import type { Logger, Store, TaskRecord } from "../ports.ts";
import type { SqliteStore } from "./sqlite.ts";

/**
 * Does nothing for a store that is no backup. Otherwise it is a store like any other from now on.
 * @param options.acceptOlderLedger somebody answers for it that no model was released after the backup
 * @throws FederatedError CONFIG_INVALID where a private task could release more than its budget
 */
export async function goOnFromBackup(
  store: SqliteStore,
  logger: Pick<Logger, "warn">,
  options: { readonly acceptOlderLedger?: boolean } = {},
): Promise<void> {
  if (store.backupTakenAt === undefined) return;
  const takenAt = new Date(store.backupTakenAt).toISOString();
  const atRisk = tasksAtRisk(await store.listTasks());
  if (atRisk.length > 0 && options.acceptOlderLedger !== true) {
    throw new FederatedError(
      "CONFIG_INVALID",
      `this is a backup of ${takenAt}, and its privacy ledger does not know what was released since: task ${atRisk.join(", ")} could spend more than its budget; if nothing was released after it, say so with \`tributary store restore --accept-older-ledger\``,
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

/** Tasks that may still release models under a budget. */
export const tasksAtRisk = (tasks: readonly TaskRecord[]): TaskId[] =>
  tasks
    .filter(({ spec, state }) => isCharged(spec) && state !== "ended")
    .map(({ taskId }) => taskId);

const record = ({ audit }: Store, takenAt: string, olderLedger: boolean) =>
  audit.append({
    kind: "store:restored",
    actor: "operator",
    facts: { takenAt, olderLedgerAccepted: olderLedger ? "yes" : "no private task runs" },
  });
