/** The updates that wait in the device's database for their round. None is kept once consent is withdrawn. */

import type { PendingUpdateStore } from "../pending-updates.ts";
import { checkConsent } from "./consent.ts";
import { fromKept, toKept } from "./kept-bytes.ts";
import type { Person } from "./person.ts";

export function createDatabaseUpdates(person: Person): PendingUpdateStore {
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
