/**
 * The one database of a device. A connection that the browser takes away is opened again when it is needed, and
 * every fault comes with a code.
 */

import { FederatedError, isFederatedError } from "@tributary/protocol";
import type { DBSchema, IDBPDatabase, IDBPTransaction } from "idb";
import { openDB } from "idb";

import type { CachedModel, TrustedKeys } from "../cache.ts";
import type { PendingUpdate } from "../pending-updates.ts";
import type { KeptBytes } from "./kept-bytes.ts";

/** What is read is checked by whoever reads it: a database may be damaged, or of somebody else's making. */
export interface Schema extends DBSchema {
  /** Each of them one value: the client key, what was said to the question of consent, the privacy ledger. */
  own: { key: "clientKey" | "consent" | "ledger" | "ledgerBegun"; value: unknown };
  models: {
    key: string;
    value: StoredModel;
    indexes: { digest: string; version: [string, number] };
  };
  trust: { key: string; value: TrustedKeys };
  updates: { key: [string, string]; value: Omit<PendingUpdate, "frame"> & { frame: KeptBytes } };
  feedback: { key: [string, string]; value: KeptBytes };
}

export interface StoredModel extends Omit<CachedModel, "frame"> {
  /** With the encoding where it is a copy: `placeOf`. */
  readonly taskId: string;
  readonly frame: KeptBytes;
}

/** 2: feedback. */
const VERSION = 2;
export const STORES = ["own", "models", "trust", "updates", "feedback"] as const;

export type Read = IDBPTransaction<Schema, typeof STORES>;
export type Write = IDBPTransaction<Schema, typeof STORES, "readwrite">;

/**
 * Transactions are over everything, so that whatever is written is written under what else was true.
 * Both throw FederatedError UNAVAILABLE, whose `details.reason` says why: "blocked" (a private window, site data
 * switched off), "quota" (no room), "newer" (a newer version of the app has the database), or "failed".
 */
export interface Database {
  /** @param work awaits nothing but requests of `tx`: else the browser ends the transaction */
  read<T>(work: (tx: Read) => Promise<T>): Promise<T>;
  /** As `read`; nothing is written when `work` throws. On disk when it resolves, unless it is "relaxed". */
  write<T>(work: (tx: Write) => Promise<T>, durability?: "strict" | "relaxed"): Promise<T>;
  /** Lets go of the connection; a later call opens it again. */
  close(): void;
}

/** @param onClosed the browser, or another tab, has closed the connection: what it held may be gone */
export function createDatabase(name: string, onClosed: () => void): Database {
  let opening: Promise<IDBPDatabase<Schema>> | undefined;

  function connect(): Promise<IDBPDatabase<Schema>> {
    if (opening !== undefined) return opening;
    const own = openDB<Schema>(name, VERSION, {
      upgrade: (db, from) => {
        db.createObjectStore("feedback");
        if (from === 1) return;
        db.createObjectStore("own");
        const models = db.createObjectStore("models", { keyPath: "taskId" });
        models.createIndex("digest", "checkpoint.digest");
        models.createIndex("version", ["taskId", "checkpoint.modelVersion"]);
        db.createObjectStore("trust");
        db.createObjectStore("updates", { keyPath: ["origin", "taskId"] });
      },
      // Whoever wants to upgrade or delete it need not wait for this tab.
      blocking: () => lose(own),
      terminated: () => lose(own),
    });
    opening = own;
    own.catch(() => forget(own));
    return own;
  }

  function forget(own: Promise<unknown>): void {
    if (opening === own) opening = undefined;
  }

  function lose(own: Promise<IDBPDatabase<Schema>>): void {
    forget(own);
    void own.then((db) => {
      db.close();
      onClosed();
    });
  }

  async function begin<M extends IDBTransactionMode>(mode: M, durability: "strict" | "relaxed") {
    for (let isSecondTry = false; ; isSecondTry = true) {
      const connected = connect();
      try {
        return (await connected).transaction(STORES, mode, { durability });
      } catch (error) {
        if (isSecondTry || nameOf(error) !== "InvalidStateError") throw error;
        // It was closed a moment ago, and the event that says so is still on its way.
        forget(connected);
      }
    }
  }

  async function run<M extends "readonly" | "readwrite", T>(
    mode: M,
    durability: "strict" | "relaxed",
    work: (tx: IDBPTransaction<Schema, typeof STORES, M>) => Promise<T>,
  ): Promise<T> {
    try {
      const tx = await begin(mode, durability);
      const done = tx.done;
      done.catch(() => undefined);
      let result: T;
      try {
        result = await work(tx);
      } catch (error) {
        try {
          tx.abort();
        } catch {
          // It has ended by itself, of the same fault.
        }
        throw error;
      }
      await done;
      return result;
    } catch (error) {
      throw coded(name, error);
    }
  }

  return {
    read: (work) => run("readonly", "relaxed", work),
    write: (work, durability = "strict") => run("readwrite", durability, work),
    close: () => {
      const closing = opening;
      opening = undefined;
      closing?.then(
        (db) => db.close(),
        () => undefined,
      );
    },
  };
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : "");

function coded(name: string, error: unknown): FederatedError {
  if (isFederatedError(error)) return error;
  const [reason, message] = REASONS[nameOf(error)] ?? [
    "failed",
    "could not be used; what it holds is as it was. Try again, or reload the page",
  ];
  return new FederatedError("UNAVAILABLE", `this browser's database "${name}" ${message}`, {
    cause: error,
    details: { reason },
  });
}

const BLOCKED = [
  "blocked",
  "is blocked: in this window, or for this site, the browser keeps nothing (a private window, site data " +
    "switched off, or a frame without its own origin)",
] as const;

const REASONS: Readonly<Record<string, readonly [string, string]>> = {
  SecurityError: BLOCKED,
  NotAllowedError: BLOCKED,
  InvalidStateError: BLOCKED,
  // There is no `indexedDB` here.
  ReferenceError: BLOCKED,
  QuotaExceededError: [
    "quota",
    "has no room for more; what it holds is as it was. Free some space, or remove other data of this site",
  ],
  VersionError: [
    "newer",
    "was made by a newer version of this app, and is left as it is; reload the page to get that version",
  ],
};
