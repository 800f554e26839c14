/** What was left out of updates, in the device's database. None is kept once consent is withdrawn. */

import type { FeedbackStore } from "../encoding/feedback-store.ts";
import { checkConsent } from "./consent.ts";
import { fromKept, toKept } from "./kept-bytes.ts";
import type { Person } from "./person.ts";

export function createDatabaseFeedback(person: Person): FeedbackStore {
  return {
    get: async (origin, taskId) => {
      const held = await person.read((tx) => tx.objectStore("feedback").get([origin, taskId]));
      return held && fromKept(held);
    },
    put: async (origin, taskId, bytes) => {
      const kept = await toKept(bytes);
      await person.write(async (tx) => {
        await checkConsent(tx);
        await tx.objectStore("feedback").put(kept, [origin, taskId]);
      });
    },
    delete: (origin, taskId) =>
      person.write((tx) => tx.objectStore("feedback").delete([origin, taskId])),
  };
}
