/** The updates that wait in the device's database for their round. None is kept once consent is withdrawn. */

import { FederatedError } from "@tributary/protocol";

import type { PendingUpdateStore } from "../pending-updates.ts";
import { readAnswer } from "./consent.ts";
import type { Read, Write } from "./database.ts";
import { fromKept, toKept } from "./kept-bytes.ts";
import type { Person } from "./person.ts";

export function createDatabaseUpdates(person: Person): PendingUpdateStore {
  /** @throws FederatedError ABORTED */
  async function checkConsent(tx: Read | Write): Promise<void> {
    if (readAnswer(await tx.objectStore("own").get("consent"))?.state !== "withdrawn") return;
    throw new FederatedError("ABORTED", "consent was withdrawn: no update is kept or sent");
  }

  return {
    checkAllowed: () => person.read(checkConsent),
    get: async (origin, taskId) => {
      const held = await person.read((tx) => tx.objectStore("updates").get([origin, taskId]));
      return held && { ...held, frame: await fromKept(held.frame) };
    },
    put: async (update) => {
      const frame = await toKept(update.frame);
      await person.write(async (tx) => {
        await checkConsent(tx);
        await tx.objectStore("updates").put({ ...update, frame });
      });
    },
    delete: (origin, taskId, roundId) =>
      person.write(async (tx) => {
        const updates = tx.objectStore("updates");
        const held = await updates.get([origin, taskId]);
        if (held?.roundId === roundId) await updates.delete([origin, taskId]);
      }),
  };
}
