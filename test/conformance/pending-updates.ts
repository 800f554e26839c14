/** What every store of pending updates promises (`PendingUpdateStore`), as tests to run on each kind. */

import type { RoundId, TaskId } from "@tributary/protocol";
import { checksumOf, sha256 } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { PendingUpdate, PendingUpdateStore } from "../../client-sdk/src/pending-updates.ts";

export interface UpdatesUnderTest extends AsyncDisposable {
  readonly updates: PendingUpdateStore;
}

const [ORIGIN, ELSEWHERE] = ["https://a.example", "https://b.example"];
const [TASK, OTHER] = ["digits" as TaskId, "other" as TaskId];
const roundOf = (taskId: TaskId, n: number) => `${taskId}:${n}` as RoundId;

async function updateOf(origin: string, taskId: TaskId, n: number): Promise<PendingUpdate> {
  // A view into a larger buffer, as an encoder may give it.
  const frame = Uint8Array.from({ length: 100 }, (_, i) => (i * n) % 251).subarray(10, 60);
  const [madeFor, checksum] = [await sha256(frame), checksumOf(frame)];
  return { origin, taskId, roundId: roundOf(taskId, n), madeFor, checksum, frame };
}

export function pendingUpdatesConformance(
  name: string,
  open: () => Promise<UpdatesUnderTest>,
): void {
  describe(`pending updates: ${name}`, () => {
    test("[BR6] one update waits for each task of each origin, as it was put", async () => {
      await using under = await open();
      const { updates } = under;
      const [first, second] = [await updateOf(ORIGIN, TASK, 1), await updateOf(ORIGIN, TASK, 2)];
      const [foreign, other] = [
        await updateOf(ELSEWHERE, TASK, 3),
        await updateOf(ORIGIN, OTHER, 4),
      ];
      expect(await updates.get(ORIGIN, TASK)).toBeUndefined();
      for (const update of [first, foreign, other, second]) await updates.put(update);
      expect(await updates.get(ORIGIN, TASK)).toEqual(second);
      expect(await updates.get(ELSEWHERE, TASK)).toEqual(foreign);
      expect(await updates.get(ORIGIN, OTHER)).toEqual(other);
    });

    test("[BR6] deleting a round's update leaves that of another round", async () => {
      await using under = await open();
      const { updates } = under;
      const update = await updateOf(ORIGIN, TASK, 2);
      await updates.put(update);
      await updates.delete(ORIGIN, TASK, roundOf(TASK, 1));
      await updates.delete(ELSEWHERE, TASK, update.roundId);
      expect(await updates.get(ORIGIN, TASK)).toEqual(update);
      await updates.delete(ORIGIN, TASK, update.roundId);
      expect(await updates.get(ORIGIN, TASK)).toBeUndefined();
      await updates.delete(ORIGIN, TASK, update.roundId);
    });
  });
}
