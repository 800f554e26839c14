/**
 * The person whose data a device holds, known by the client key. Everything is read and written in their name, so
 * that a tab which has slept through `forgetMe` leaves nothing with, and takes nothing from, whoever came after.
 */

import { CLIENT_KEY_PATTERN, FederatedError } from "@tributary/protocol";

import { createClientKey } from "../client-key.ts";
import type { Database, Read, Write } from "./database.ts";

const KEY = new RegExp(CLIENT_KEY_PATTERN);

export interface Person extends Omit<Database, "close"> {
  readonly clientKey: string;
  /** Aborts when the person is forgotten, in whichever tab, and when the device is closed here. */
  readonly signal: AbortSignal;
  /** Nothing more is done in their name: every later call throws `reason`. */
  end(reason: FederatedError): void;
}

export const forgotten = () =>
  new FederatedError("ABORTED", "this person was forgotten; open the device again for a new one", {
    details: { reason: "forgotten" },
  });

/**
 * The person of the database; a new one where there is none. Tabs that open at once find the same.
 * @throws FederatedError CONFIG_INVALID for a key that is damaged, UNAVAILABLE
 */
export async function openPerson(database: Database): Promise<Person> {
  const made = createClientKey();
  const clientKey = await database.write(async (tx) => {
    const own = tx.objectStore("own");
    const held = await own.get("clientKey");
    if (held === undefined) await own.put(made, "clientKey");
    return held ?? made;
  });
  if (typeof clientKey !== "string" || !KEY.test(clientKey)) {
    throw new FederatedError(
      "CONFIG_INVALID",
      "this browser's client key is damaged (43 characters of base64url are expected); clear this site's data " +
        "to become a new client",
    );
  }
  const controller = new AbortController();
  const { signal } = controller;
  const end = (reason: FederatedError) => controller.abort(reason);

  async function check(tx: Read | Write): Promise<void> {
    if (!signal.aborted) {
      if ((await tx.objectStore("own").get("clientKey")) === clientKey) return;
      end(forgotten());
    }
    throw signal.reason;
  }

  const inTheirName =
    <Tx extends Read | Write, T>(work: (tx: Tx) => Promise<T>) =>
    async (tx: Tx): Promise<T> => {
      await check(tx);
      return work(tx);
    };

  const open = () => signal.throwIfAborted();
  return {
    clientKey,
    signal,
    end,
    read: async (work) => {
      open();
      return database.read(inTheirName(work));
    },
    write: async (work, durability) => {
      open();
      return database.write(inTheirName(work), durability);
    },
  };
}
