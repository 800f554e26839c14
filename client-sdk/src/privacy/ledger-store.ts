/** Where a client keeps what it has spent: one text that only ever gives way to its successor. */

/** The text that was saved last, and how often one has been. */
export interface StoredLedger {
  readonly revision: number;
  readonly text: string;
}

/**
 * A register with compare-and-set, so that two processes on one ledger cannot both spend the same budget. A
 * file in Node (`createFileLedger`), a memory for tests; in a browser one transaction of IndexedDB can be one.
 */
export interface PrivacyLedgerStore {
  /**
   * What was saved last; undefined only where nothing ever was.
   * @throws where that cannot be told: a ledger that is lost or cannot be read must not look like a new one
   */
  read(): Promise<StoredLedger | undefined>;
  /**
   * Saves the successor of `revision` (0 where nothing was saved): durable when it resolves.
   * @returns false when that revision has a successor already; then nothing was saved
   */
  write(text: string, revision: number): Promise<boolean>;
}

/**
 * A ledger that is forgotten with the process: a client that starts again begins with a whole budget, so what
 * it promises holds for one run only. For tests, and for clients that are never started twice on the same data.
 */
export function createMemoryLedger(): PrivacyLedgerStore {
  let held: StoredLedger | undefined;
  return {
    read: async () => held,
    write: async (text, revision) => {
      if ((held?.revision ?? 0) !== revision) return false;
      held = { revision: revision + 1, text };
      return true;
    },
  };
}
