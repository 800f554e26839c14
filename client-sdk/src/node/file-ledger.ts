/**
 * A client's privacy ledger on disk: `privacy-<revision>.ledger`, each revision a file that is created once and
 * never changed, and `privacy.begun`, which says that there is one. A ledger that is gone is no new ledger.
 */

import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { FederatedError } from "@tributary/protocol";

import type { PrivacyLedgerStore, StoredLedger } from "../privacy/ledger-store.ts";
import { createDurably, isCode } from "./durable-file.ts";

export interface FileLedgerOptions {
  /**
   * Made where it is missing. Keep it beside the client key: whoever loses both is another client, and whoever
   * loses this alone can only be told by it. May be shared by the clients and processes on the same data.
   */
  readonly directory: string;
  /** True where this client has run before: then a directory without a ledger is refused, too. Default false. */
  readonly mustExist?: boolean;
}

const MARKER = "privacy.begun";
const REVISION = /^privacy-([0-9]{12})\.ledger$/;
/** What a process that was killed, or lost a race, has left. */
const DRAFT = /^privacy-([0-9]{12})\.ledger\.[0-9a-f-]{36}\.tmp$/;

export function createFileLedger({
  directory,
  mustExist = false,
}: FileLedgerOptions): PrivacyLedgerStore {
  const pathOf = (revision: number) =>
    join(directory, `privacy-${String(revision).padStart(12, "0")}.ledger`);

  async function list(): Promise<{ names: readonly string[]; newest: number }> {
    let names: string[];
    try {
      names = await readdir(directory);
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw error;
      names = [];
    }
    return { names, newest: Math.max(0, ...names.map((name) => revisionOf(REVISION, name))) };
  }

  async function read(): Promise<StoredLedger | undefined> {
    for (;;) {
      const { names, newest } = await list();
      if (newest === 0) {
        if (!mustExist && !names.includes(MARKER)) return undefined;
        throw new FederatedError(
          "CONFIG_INVALID",
          `the privacy ledger in ${directory} is lost, and without it nothing is sent: what this client has ` +
            "spent is not known any more. Restore it from a copy made after its last update (an older one would " +
            "spend again what was spent since); a ledger in another directory begins a new account, which says " +
            "nothing about what was sent before",
        );
      }
      try {
        return { revision: newest, text: await readFile(pathOf(newest), "utf8") };
      } catch (error) {
        // Another process has saved a newer one meanwhile.
        if (!isCode(error, "ENOENT")) throw error;
      }
    }
  }

  /** Creating a revision is the lock: of two processes one is too late. */
  async function create(text: string, revision: number): Promise<boolean> {
    try {
      if (!(await createDurably(pathOf(revision), text, 0o600))) return false;
    } catch (error) {
      // Whoever saved a newer one may have swept this draft away.
      if ((await list()).newest >= revision) return false;
      throw error;
    }
    // A revision that was saved and removed by others meanwhile is no place to be first in.
    return (await list()).newest === revision;
  }

  return {
    read,
    write: async (text, revision) => {
      if (!(await create(text, revision + 1))) return false;
      const { names } = await list();
      if (!names.includes(MARKER)) await createDurably(join(directory, MARKER), "", 0o600);
      for (const name of names) {
        const older = Math.max(revisionOf(REVISION, name), revisionOf(DRAFT, name));
        // What stays only takes room: the newest counts.
        if (older > 0 && older <= revision) {
          await rm(join(directory, name), { force: true }).catch(() => undefined);
        }
      }
      return true;
    },
  };
}

const revisionOf = (pattern: RegExp, name: string): number => Number(pattern.exec(name)?.[1] ?? 0);
