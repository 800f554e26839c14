/** What every store promises of enrolment tokens (`EnrolmentStore` in `ports.ts`), as tests to run on each kind. */

import { describe, expect, test } from "vitest";

import type { EnrolmentTokenRecord } from "../../coordinator/src/ports.ts";
import { factsOf } from "./audit.ts";
import { clientIds, digestOf } from "./records.ts";
import type { StoreUnderTest } from "./store.ts";

const NOW = 1_800_000_000_000;
const [ada, bob, eve] = clientIds(3);

const token = (
  digit: string,
  changes: Partial<EnrolmentTokenRecord> = {},
): EnrolmentTokenRecord => ({
  tokenId: digit.repeat(16),
  digest: digestOf(digit),
  uses: 1,
  used: 0,
  createdAt: NOW,
  expiresAt: NOW + 1000,
  ...changes,
});
const refused = (why: RegExp) =>
  expect.objectContaining({
    code: "UNAUTHENTICATED",
    message: expect.stringMatching(why) as string,
  }) as Error;

export function enrolmentConformance(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`enrolments: ${name}`, () => {
    test("[AU10] a token lets in as many clients as it says, each once, and no more", async () => {
      await using under = await open();
      const { enrolments } = under.store;
      await enrolments.add(token("1", { uses: 2, label: "ward 7" }));
      expect(await enrolments.tokenOf(ada!)).toBeUndefined();
      await enrolments.enrol(ada!, digestOf("1"), NOW);
      await enrolments.enrol(ada!, digestOf("1"), NOW);
      await enrolments.enrol(bob!, digestOf("1"), NOW);
      await expect(enrolments.enrol(eve!, digestOf("1"), NOW)).rejects.toEqual(refused(/used up/));
      expect(await enrolments.tokenOf(eve!)).toBeUndefined();
      const used = token("1", { uses: 2, used: 2, label: "ward 7" });
      expect(await enrolments.tokenOf(ada!)).toEqual(used);
      expect(await enrolments.list({ limit: 9 })).toEqual([{ number: 1, token: used }]);
      // Whoever is in stays as it is, whatever it comes with.
      await enrolments.enrol(ada!, digestOf("9"), NOW + 5000);
    });

    test("[AU10] of clients that race for the last use one is let in", async () => {
      await using under = await open();
      const { enrolments } = under.store;
      await enrolments.add(token("1"));
      const racers = clientIds(20, "racer");
      const ends = await Promise.allSettled(
        racers.map((racer) => enrolments.enrol(racer, digestOf("1"), NOW)),
      );
      expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const held = await Promise.all(racers.map((racer) => enrolments.tokenOf(racer)));
      expect(held.filter((one) => one !== undefined)).toHaveLength(1);
    });

    test("[AU11] an expired, revoked or foreign token lets nobody in; who is in stays when it expires", async () => {
      await using under = await open();
      const { enrolments } = under.store;
      await enrolments.add(token("1", { uses: 5 }));
      await enrolments.add(token("2", { uses: 5 }));
      await enrolments.enrol(ada!, digestOf("1"), NOW + 999);
      await expect(enrolments.enrol(bob!, digestOf("1"), NOW + 1000)).rejects.toEqual(
        refused(/expired/),
      );
      await enrolments.enrol(ada!, digestOf("1"), NOW + 9999);
      await enrolments.revoke("2".repeat(16), NOW);
      await expect(enrolments.enrol(bob!, digestOf("2"), NOW)).rejects.toEqual(refused(/revoked/));
      await expect(enrolments.enrol(bob!, digestOf("3"), NOW)).rejects.toEqual(refused(/none/));
      expect(await enrolments.tokenOf(bob!)).toBeUndefined();
    });

    test("[AU12] revoking a token names whom it let in; they may enrol anew by another", async () => {
      await using under = await open();
      const { enrolments } = under.store;
      await enrolments.add(token("1", { uses: 5 }));
      await enrolments.add(token("2"));
      await enrolments.enrol(ada!, digestOf("1"), NOW);
      await enrolments.enrol(bob!, digestOf("1"), NOW);
      const revoked = token("1", { uses: 5, used: 2, revokedAt: NOW + 7 });
      const first = await enrolments.revoke("1".repeat(16), NOW + 7);
      expect(first.token).toEqual(revoked);
      expect([...first.clients].sort()).toEqual([ada, bob].sort());
      expect((await enrolments.revoke("1".repeat(16), NOW + 8)).token).toEqual(revoked);
      expect((await enrolments.tokenOf(ada!))?.revokedAt).toBe(NOW + 7);
      await expect(enrolments.enrol(ada!, digestOf("1"), NOW)).rejects.toEqual(refused(/revoked/));
      await enrolments.enrol(ada!, digestOf("2"), NOW);
      expect((await enrolments.tokenOf(ada!))?.tokenId).toBe("2".repeat(16));
      expect((await enrolments.revoke("1".repeat(16), NOW)).clients).toEqual([bob]);
      await expect(enrolments.revoke("9".repeat(16), NOW)).rejects.toMatchObject({
        code: "NOT_FOUND",
      });
    });

    test("[AU13] tokens are paged newest first, and one is never put in the place of another", async () => {
      await using under = await open();
      const { enrolments } = under.store;
      for (const digit of ["1", "2", "3"]) await enrolments.add(token(digit));
      const numbers = async (page: { before?: number; limit: number }) =>
        (await enrolments.list(page)).map(({ number, token: { tokenId } }) => [number, tokenId[0]]);
      expect(await numbers({ limit: 2 })).toEqual([
        [3, "3"],
        [2, "2"],
      ]);
      expect(await numbers({ before: 2, limit: 2 })).toEqual([[1, "1"]]);
      for (const twin of [token("1", { uses: 9 }), token("4", { digest: digestOf("1") })]) {
        await expect(enrolments.add(twin)).rejects.toMatchObject({ code: "MALFORMED_MESSAGE" });
      }
      expect(await numbers({ limit: 9 })).toHaveLength(3);
    });

    test("[AU14] issuing, each use and revoking enter the audit log, with ids and counts alone", async () => {
      await using under = await open();
      const { store } = under;
      await store.enrolments.add(token("1", { uses: 2, label: "for Ada" }));
      await store.enrolments.enrol(ada!, digestOf("1"), NOW);
      await store.enrolments.enrol(ada!, digestOf("1"), NOW);
      await store.enrolments.enrol(eve!, digestOf("8"), NOW).catch(() => undefined);
      await store.enrolments.revoke("1".repeat(16), NOW);
      await store.enrolments.revoke("1".repeat(16), NOW);
      const facts = (used: number) => ({ tokenId: "1".repeat(16), uses: 2, used });
      expect(await factsOf(store)).toEqual([
        ["enrolment:issued", facts(0)],
        ["enrolment:used", facts(1)],
        ["enrolment:revoked", facts(1)],
      ]);
    });

    test("[AU10] uses and enrolments survive closing and opening", async ({ skip }) => {
      await using under = await open();
      if (under.reopen === undefined) return skip("nothing is kept");
      await under.store.enrolments.add(token("1"));
      await under.store.enrolments.enrol(ada!, digestOf("1"), NOW);
      const { enrolments } = await under.reopen();
      expect(await enrolments.tokenOf(ada!)).toEqual(token("1", { used: 1 }));
      await expect(enrolments.enrol(bob!, digestOf("1"), NOW)).rejects.toEqual(refused(/used up/));
    });
  });
}
