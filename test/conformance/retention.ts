/** What every store promises about forgetting (`Store.prune` in the coordinator's `ports.ts`), as tests to run on each kind. */

import { describe, expect, test } from "vitest";

import type { Store } from "../../coordinator/src/ports.ts";
import {
  abandonedRound,
  clientIds,
  commitOf,
  digestOf,
  openRound,
  reservation,
  taskId,
  taskRecord,
  versionRecord,
} from "./records.ts";
import type { StoreUnderTest } from "./store.ts";
import { everythingOf } from "./store.ts";

const A = taskId("a");
const digest = (modelVersion: number) => modelVersion.toString(16).padStart(64, "a") as never;

/** Rounds 1 to `count` of a private task, every third one abandoned; a version has a digest of its own. */
async function live(store: Store, name: string, count: number): Promise<void> {
  const initial = versionRecord(name, 0, { digest: digest(0) });
  await store.createTask(taskRecord(name, "private"), initial);
  let latest = 0;
  for (let number = 1; number <= count; number++) {
    const round = openRound(name, number, { baseModelVersion: latest });
    await store.saveOpenRound(round, clientIds(3));
    await store.reserveLedger(reservation(round));
    if (number % 3 === 0) {
      await store.abandonRound({ round: abandonedRound(round) });
      continue;
    }
    latest += 1;
    const version = versionRecord(name, latest, {
      roundNumber: number,
      digest: digest(latest),
      optimizerState: digestOf("f"),
    });
    await store.commitRound(commitOf(round, latest, { version, releaseLedger: true }));
  }
}

const coded = (code: string) => expect.objectContaining({ code }) as Error;

export function retentionConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`forgetting: ${name}`, () => {
    test("[OPS20] the newest rounds and versions stay as they were; ledger, log and counts lose nothing", async () => {
      await using under = await open();
      const { store } = under;
      await live(store, "a", 12);
      await live(store, "b", 12);
      const last = openRound("a", 13, { baseModelVersion: 8 });
      await store.saveOpenRound(last, clientIds(2));
      const before = await everythingOf(store, A, clientIds(2));
      const log = await store.audit.list({ limit: 1000 });
      const other = await everythingOf(store, taskId("b"), clientIds(2));

      expect(await store.prune(A, { rounds: 4, modelVersions: 3 }, 100)).toEqual({
        rounds: 9,
        modelVersions: 6,
        // Optimizer's states that are equal are one blob, and one of them is still referred to.
        blobs: [],
        more: false,
      });
      const after = await everythingOf(store, A, clientIds(2));
      expect(after.rounds).toStrictEqual(before.rounds.slice(0, 4));
      expect(after.reports).toStrictEqual(before.reports.slice(0, 4));
      expect(after.versions).toStrictEqual(before.versions.slice(0, 3));
      expect({ ...after, rounds: 0, reports: 0, versions: 0 }).toStrictEqual({
        ...before,
        rounds: 0,
        reports: 0,
        versions: 0,
      });
      expect(after.ledger).toHaveLength(12);
      expect(await store.audit.list({ limit: 1000 })).toEqual(log);
      expect(await everythingOf(store, taskId("b"), clientIds(2))).toStrictEqual(other);

      const opened = under.reopen === undefined ? store : await under.reopen();
      expect(await everythingOf(opened, A, clientIds(2))).toStrictEqual(after);
      await opened.reserveLedger(reservation(last));
      await opened.commitRound(commitOf(last, 9, { releaseLedger: true }));
      expect(await opened.countRounds(A)).toEqual({ committed: 9, abandoned: 4, last: 13 });
    });

    test("[OPS20] what is not limited stays, and forgetting again forgets nothing more", async () => {
      await using under = await open();
      const { store } = under;
      await live(store, "a", 6);
      const before = await everythingOf(store, A);
      const nothing = { rounds: 0, modelVersions: 0, blobs: [], more: false };
      for (const keep of [{}, { rounds: 6 }, { modelVersions: 5 }, { rounds: 1e9 }]) {
        expect(await store.prune(A, keep, 100)).toEqual(nothing);
      }
      expect(await everythingOf(store, A)).toStrictEqual(before);
      await store.prune(A, { rounds: 2, modelVersions: 2 }, 100);
      expect(await store.prune(A, { rounds: 2, modelVersions: 2 }, 100)).toEqual(nothing);
      await expect(store.prune(taskId("z"), {}, 1)).rejects.toEqual(coded("TASK_NOT_FOUND"));
    });

    test("[OPS20] it goes in small steps, the oldest first", async () => {
      await using under = await open();
      const { store } = under;
      await live(store, "a", 9);
      const steps: unknown[] = [];
      for (let more = true; more;) {
        const pruned = await store.prune(A, { rounds: 2, modelVersions: 2 }, 3);
        more = pruned.more;
        const { rounds, versions } = await everythingOf(store, A);
        steps.push([rounds.at(-1)?.roundNumber, versions.at(-1)?.modelVersion]);
        expect(await store.countRounds(A)).toEqual({ committed: 6, abandoned: 3, last: 9 });
      }
      expect(steps).toEqual([
        [4, 3],
        [7, 5],
        [8, 5],
      ]);
    });

    test("[OPS21] a blob is given up only when no version of any task refers to it", async () => {
      await using under = await open();
      const { store } = under;
      await live(store, "a", 5);
      await live(store, "b", 2);
      // Versions 0 to 2 of both tasks have the same bytes; 3 is only a's.
      expect((await store.prune(A, { modelVersions: 1 }, 100)).blobs).toEqual([digest(3)]);
      expect(await store.isReferenced(digest(3))).toBe(false);
      expect(await store.isReferenced(digest(2))).toBe(true);
      expect(await store.isReferenced(digestOf("f"))).toBe(true);
      expect((await store.prune(taskId("b"), { modelVersions: 1 }, 100)).blobs).toEqual([
        digest(0),
        digest(1),
      ]);
    });

    test("[OPS24] a round that was forgotten can neither open again nor be charged again", async () => {
      await using under = await open();
      const { store } = under;
      await live(store, "a", 5);
      await store.prune(A, { rounds: 1 }, 100);
      const before = await everythingOf(store, A);
      for (const number of [1, 4]) {
        const round = openRound("a", number);
        await expect(store.saveOpenRound(round)).rejects.toEqual(coded("ROUND_CLOSED"));
        await expect(store.reserveLedger(reservation(round))).rejects.toEqual(
          coded("ROUND_NOT_FOUND"),
        );
        await expect(store.abandonRound({ round: abandonedRound(round) })).rejects.toEqual(
          coded("ROUND_NOT_FOUND"),
        );
        expect(await store.getRound(round.roundId)).toBeUndefined();
        expect(await store.wasReported(round.roundId, clientIds(1)[0]!)).toBe(false);
      }
      expect(await everythingOf(store, A)).toStrictEqual(before);
    });
  });
}
