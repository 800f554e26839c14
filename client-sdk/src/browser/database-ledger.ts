/**
 * The privacy ledger in the device's database: compare-and-set in one transaction. That there is one is written
 * beside it and, where the page has it, in `localStorage`, which browsers keep when they drop a database for want
 * of space: a ledger that is gone, or older than it was, is no new ledger.
 */

import { FederatedError, isFederatedError } from "@tributary/protocol";

import type { PrivacyLedgerStore, StoredLedger } from "../privacy/ledger-store.ts";
import type { Read, Write } from "./database.ts";
import type { Person } from "./person.ts";

export interface LedgerMark {
  /** The newest revision that was saved, as far as is known; 0 for none. */
  revision(): number;
  raise(revision: number): void;
  remove(): void;
}

export function createDatabaseLedger(person: Person, mark: LedgerMark): PrivacyLedgerStore {
  async function held(tx: Read | Write): Promise<StoredLedger | undefined> {
    const own = tx.objectStore("own");
    const stored = await own.get("ledger");
    const begun = (await own.get("ledgerBegun")) !== undefined;
    const ledger = isLedger(stored) ? stored : undefined;
    if (stored !== ledger || mark.revision() > (ledger?.revision ?? 0) || (begun && !ledger)) {
      throw new FederatedError(
        "CONFIG_INVALID",
        "this browser has lost the privacy ledger, or holds an older one, and without it nothing is sent: what " +
          "this person has spent is not known any more. Forgetting the person (forgetMe) begins a new account, " +
          "which says nothing about what was sent before",
      );
    }
    return ledger;
  }

  return {
    read: () => person.read(held),
    write: async (text, revision) => {
      const next: StoredLedger = { revision: revision + 1, text };
      const isSaved = await person.write(async (tx) => {
        if (((await held(tx))?.revision ?? 0) !== revision) return false;
        const own = tx.objectStore("own");
        await own.put(next, "ledger");
        await own.put(true, "ledgerBegun");
        return true;
      });
      if (!isSaved) return false;
      mark.raise(next.revision);
      // Forgotten in another tab in between: the mark must not stand against whoever comes after.
      await person.read(held).catch((error: unknown) => {
        if (isFederatedError(error) && error.details?.reason === "forgotten") mark.remove();
        throw error;
      });
      return true;
    },
  };
}

function isLedger(value: unknown): value is StoredLedger {
  const { revision, text } = (value ?? {}) as Partial<StoredLedger>;
  return Number.isSafeInteger(revision) && Number(revision) > 0 && typeof text === "string";
}

/** In `localStorage`, as far as there is one and it may be used. */
export function createLedgerMark(name: string, storage: () => Storage | undefined): LedgerMark {
  const key = `${name}:ledger`;
  const attempt = <T>(use: (storage: Storage) => T): T | undefined => {
    try {
      const found = storage();
      return found === undefined ? undefined : use(found);
    } catch {
      // Blocked or full: the mark beside the ledger remains.
      return undefined;
    }
  };
  const revision = () => Number(attempt((found) => found.getItem(key)) ?? 0);
  return {
    revision,
    raise: (newest) => {
      if (newest > revision()) attempt((found) => found.setItem(key, String(newest)));
    },
    remove: () => attempt((found) => found.removeItem(key)),
  };
}
