/** Forgets the oldest of a task's history once its rounds end; ledger, audit log and counts stay whole. */

import type { TaskId } from "@tributary/protocol";

import type { BlobKeeper } from "../model/blob-keeper.ts";
import type { Clock, EventFeed, Logger, Retention, Store } from "../ports.ts";
import { createMailbox } from "../round/mailbox.ts";

export interface RetentionDeps {
  readonly store: Store;
  readonly blobs: BlobKeeper;
  readonly clock: Clock;
  readonly events: EventFeed;
  readonly logger: Logger;
}

export interface RetentionKeeper {
  /** Resolves when everything that could go by now is gone. */
  idle(): Promise<void>;
  /** Ends after the step that is under way. */
  stop(): Promise<void>;
}

/** Rounds and versions in one transaction: a few milliseconds, in which nothing else can happen. */
const STEP = 50;

/** Begins with the tasks that are there, then follows the ends of rounds. */
export async function startRetention(
  { store, blobs, clock, events, logger }: RetentionDeps,
  keep: Retention,
): Promise<RetentionKeeper> {
  const mailbox = createMailbox();
  let stopped = keep.rounds === undefined && keep.modelVersions === undefined;
  const breath = () => new Promise<void>((resolve) => void clock.after(0, resolve));

  const prune = async (taskId: TaskId): Promise<void> => {
    for (let more = true; more && !stopped;) {
      const pruned = await store.prune(taskId, keep, STEP);
      // After the transaction: a crash in between leaves files that nothing names, and that harm nobody.
      await blobs.discard(pruned.blobs);
      more = pruned.more;
      if (more) await breath();
    }
  };
  const post = (taskId: TaskId) => {
    if (stopped) return;
    mailbox
      .post(() => prune(taskId))
      .catch((error: unknown) => {
        // The next end of a round tries again, with a longer row to go.
        logger.warn({ taskId, error }, "old rounds and versions could not be forgotten");
      });
  };

  for (const { taskId } of stopped ? [] : await store.listTasks()) post(taskId);
  const feed = events.subscribe((event) => {
    if (event.type === "round:phaseChanged" && event.data.endedAt !== undefined) {
      post(event.taskId);
    }
  });
  return {
    idle: () => mailbox.idle(),
    stop: async () => {
      stopped = true;
      feed.unsubscribe();
      await mailbox.idle();
    },
  };
}
