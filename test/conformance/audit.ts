/** What the audit log of every store promises (`AuditLog` in the coordinator's `ports.ts`), as tests to run on each kind. */

import { createHash } from "node:crypto";

import type { AuditEntry } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import type { AuditFact, Store } from "../../coordinator/src/ports.ts";
import {
  abandonedRound,
  clientIds,
  commitOf,
  openRound,
  reservation,
  taskId,
  taskRecord,
  versionRecord,
} from "./records.ts";
import type { StoreUnderTest } from "./store.ts";

const ZEROS = "0".repeat(64);
const A = taskId("a");
const paused: AuditFact = {
  kind: "admin:requested",
  actor: "operator",
  facts: { action: "pause" },
};

/** The log as [kind, facts], all of it. */
export async function factsOf({ audit }: Store): Promise<[string, AuditFact["facts"]][]> {
  const entries = await audit.list({ limit: 10_000 });
  return entries.map(({ record }) => {
    const { kind, facts } = JSON.parse(record) as AuditFact;
    return [kind, facts];
  });
}

/** The chain as it is documented, by hand: nothing of the code under test. */
export function expectChain(entries: readonly AuditEntry[]): void {
  let previous = ZEROS;
  for (const [i, entry] of entries.entries()) {
    const hash = createHash("sha256")
      .update(`tributary audit 1\n${previous}\n${entry.record}`)
      .digest("hex");
    expect(entry).toMatchObject({ number: i + 1, previous, hash });
    expect(JSON.parse(entry.record)).toMatchObject({ number: i + 1 });
    previous = hash;
  }
}

/** A private task whose round 1 is committed, whose round 2 is abandoned, and which then ends. */
async function live(store: Store) {
  await store.createTask(taskRecord("a", "private"), versionRecord("a", 0));
  const first = openRound("a", 1);
  await store.saveOpenRound(first, clientIds(3));
  await store.reserveLedger(reservation(first));
  await store.reserveLedger(reservation(first));
  await store.commitRound(commitOf(first, 1, { releaseLedger: true, reported: clientIds(3) }));
  const second = openRound("a", 2, { baseModelVersion: 1 });
  await store.saveOpenRound(second, clientIds(3));
  await store.reserveLedger(reservation(second));
  await store.abandonRound({ round: abandonedRound(second) });
  await store.setTaskState(A, "paused");
  await store.setTaskState(A, "paused");
  await store.setTaskState(A, "ended", "cancelled");
}

export function auditConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`audit log: ${name}`, () => {
    test("[AL1] tasks, round ends, publications and charges enter the log with what makes them, once each", async () => {
      await using under = await open();
      const { store } = under;
      await live(store);
      const charge = {
        ...{ mechanism: "gaussian", noiseMultiplier: 1.1 },
        ...{ sampling: "poisson", samplingRate: 0.01 },
      };
      expect(await factsOf(store)).toEqual([
        [
          "task:created",
          { taskId: "a", layoutDigest: taskRecord("a").layout.digest, privacy: "central" },
        ],
        ["model:published", { taskId: "a", modelVersion: 0, digest: "0".repeat(64) }],
        ["privacy:reserved", { roundId: "a.1", ...charge }],
        // Of a private task the log tells neither how many reported nor why a round was abandoned.
        ["round:committed", { roundId: "a.1", modelVersion: 1 }],
        ["model:published", { taskId: "a", modelVersion: 1, digest: "1".repeat(64) }],
        ["privacy:released", { roundId: "a.1", ...charge }],
        ["privacy:reserved", { roundId: "a.2", ...charge }],
        ["round:abandoned", { roundId: "a.2" }],
        ["privacy:voided", { roundId: "a.2", ...charge }],
        ["task:stateChanged", { taskId: "a", state: "paused" }],
        ["task:stateChanged", { taskId: "a", state: "ended", reason: "cancelled" }],
      ]);
    });

    test("[AL1] a charge that is kept is logged as released, and the end of a task with the round that ends it", async () => {
      await using under = await open();
      const { store } = under;
      await store.createTask(taskRecord("a", "private"), versionRecord("a", 0));
      const first = openRound("a", 1);
      await store.saveOpenRound(first);
      await store.reserveLedger(reservation(first));
      await store.abandonRound({ round: abandonedRound(first), keepCharge: true });
      const second = openRound("a", 2);
      await store.saveOpenRound(second);
      await store.reserveLedger(reservation(second));
      await store.commitRound(
        commitOf(second, 1, { releaseLedger: true, end: "privacyBudgetExhausted" }),
      );
      expect((await factsOf(store)).map(([kind]) => kind)).toEqual([
        ...["task:created", "model:published"],
        ...["privacy:reserved", "round:abandoned", "privacy:released"],
        ...["privacy:reserved", "round:committed", "model:published", "privacy:released"],
        "task:stateChanged",
      ]);
      expect((await factsOf(store)).at(-1)?.[1]).toEqual({
        taskId: "a",
        state: "ended",
        reason: "privacyBudgetExhausted",
      });
    });

    test("[AL1] a call that is refused leaves nothing in the log", async () => {
      await using under = await open();
      const { store } = under;
      await live(store);
      const before = await store.audit.list({ limit: 1000 });
      const ended = openRound("a", 1);
      const refused = [
        () => store.createTask(taskRecord("a"), versionRecord("a", 0)),
        () => store.commitRound(commitOf(ended, 1, { releaseLedger: true })),
        () => store.abandonRound({ round: abandonedRound(ended) }),
        () => store.reserveLedger(reservation(ended)),
        () => store.setTaskState(taskId("nobody"), "paused"),
      ];
      for (const call of refused) await expect(call()).rejects.toThrow();
      expect(await store.audit.list({ limit: 1000 })).toStrictEqual(before);
    });

    test("[AL2] entries are numbered without a gap and chained by the documented hash", async () => {
      await using under = await open();
      const { store } = under;
      expect(await store.audit.head()).toEqual({ number: 0, hash: ZEROS });
      await live(store);
      const entries = await store.audit.list({ limit: 1000 });
      expect(entries).toHaveLength(11);
      expectChain(entries);
      const { number, hash } = entries.at(-1)!;
      expect(await store.audit.head()).toEqual({ number, hash });
    });

    test("[AL3] whatever else is appended gets the next number, also when many append at once", async () => {
      await using under = await open();
      const { store } = under;
      await live(store);
      const appended = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          store.audit.append({ ...paused, facts: { action: `pause ${i}` } }),
        ),
      );
      expect(appended.map(({ number }) => number)).toEqual(
        Array.from({ length: 20 }, (_, i) => 12 + i),
      );
      const entries = await store.audit.list({ limit: 1000 });
      expectChain(entries);
      expect(entries.slice(11)).toStrictEqual(appended);
      expect(JSON.parse(appended[0]!.record)).toEqual({
        number: 12,
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        kind: "admin:requested",
        actor: "operator",
        facts: { action: "pause 0" },
      });
    });

    test("[AL4] the log is read in pages, oldest first", async () => {
      await using under = await open();
      const { audit } = under.store;
      for (let i = 0; i < 5; i++) await audit.append(paused);
      const numbers = async (page: { after?: number; limit: number }) =>
        (await audit.list(page)).map(({ number }) => number);
      expect(await numbers({ limit: 2 })).toEqual([1, 2]);
      expect(await numbers({ after: 2, limit: 2 })).toEqual([3, 4]);
      expect(await numbers({ after: 4, limit: 2 })).toEqual([5]);
      expect(await numbers({ after: 5, limit: 2 })).toEqual([]);
      expect(await numbers({ after: 9, limit: 2 })).toEqual([]);
    });

    test("[AL5] the log survives closing and opening, and goes on where it was", async ({
      skip,
    }) => {
      await using under = await open();
      if (under.reopen === undefined) return skip("nothing is kept");
      await live(under.store);
      const before = await under.store.audit.list({ limit: 1000 });
      const again = await under.reopen();
      expect(await again.audit.list({ limit: 1000 })).toStrictEqual(before);
      await again.audit.append(paused);
      const after = await again.audit.list({ limit: 1000 });
      expect(after).toHaveLength(12);
      expectChain(after);
    });
  });
}
