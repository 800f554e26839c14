/** The updates that wait in the device's database for their round. None is kept once consent is withdrawn. */

import { FederatedError } from "@tributary/protocol";

import type { PendingUpdateStore } from "../pending-updates.ts";
import { readAnswer } from "./consent.ts";
import type { Read, Write } from "./database.ts";
import { ownBytes } from "./own-bytes.ts";
import type { Person } from "./person.ts";

export function createDatabaseUpdates(person: Person): PendingUpdateStore {
  /** @throws FederatedError ABORTED */
  async function checkConsent(tx: Read | Write): Promise<void> {
    if (readAnswer(await tx.objectStore("own").get("consent"))?.state !== "withdrawn") return;
    throw new FederatedError("ABORTED", "consent was withdrawn: no update is kept or sent");
  }

  return {
    checkAllowed: () => person.read(checkConsent),
    get: (origin, taskId) => person.read((tx) => tx.objectStore("updates").get([origin, taskId])),
    put: (update) =>
      person.write(async (tx) => {
        await checkConsent(tx);
        await tx.objectStore("updates").put({ ...update, frame: ownBytes(update.frame) });
      }),
    delete: (origin, taskId, roundId) =>
      person.write(async (tx) => {
        const updates = tx.objectStore("updates");
        const held = await updates.get([origin, taskId]);
        if (held?.roundId === roundId) await updates.delete([origin, taskId]);
      }),
  };
}
