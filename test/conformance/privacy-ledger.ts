/** What every store of a client's privacy ledger promises (`PrivacyLedgerStore`), as tests to run on each kind. */

import { describe, expect, test } from "vitest";

import type { PrivacyLedgerStore } from "../../client-sdk/src/privacy/ledger-store.ts";

export interface LedgerUnderTest extends AsyncDisposable {
  readonly ledger: PrivacyLedgerStore;
  /** The same ledger in another process or tab; absent where it is one process's own. */
  readonly other?: PrivacyLedgerStore;
}

export function privacyLedgerConformance(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`privacy ledger: ${name}`, () => {
    test("[LD8] what was saved last is read, by everybody on the same ledger", async () => {
      await using under = await open();
      const { ledger, other = ledger } = under;
      expect(await ledger.read()).toBeUndefined();
      expect(await ledger.write("one", 0)).toBe(true);
      expect(await other.write("two", 1)).toBe(true);
      expect(await ledger.read()).toEqual({ revision: 2, text: "two" });
      expect(await other.read()).toEqual({ revision: 2, text: "two" });
    });

    test("[LD10] a revision has one successor, whoever writes at the same time", async () => {
      await using under = await open();
      const { ledger, other = ledger } = under;
      for (const [revision, text] of ["a", "b", "c", "d"].entries()) {
        await ledger.write(text, revision);
      }
      for (const revision of [0, 1, 2, 3]) {
        expect(await other.write("late", revision)).toBe(false);
        expect(await other.read()).toEqual({ revision: 4, text: "d" });
      }
      const writers = Array.from({ length: 8 }, (_, i) =>
        (i % 2 === 0 ? ledger : other).write(`e${i}`, 4),
      );
      const outcomes = await Promise.all(writers);
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      expect(await ledger.read()).toEqual({ revision: 5, text: `e${outcomes.indexOf(true)}` });
    });
  });
}
