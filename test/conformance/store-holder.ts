/**
 * A process that owns a store: `node … store-holder.ts <file>`. It commits rounds one after the other and
 * says the number of each on stdout once the call has resolved, until it is killed.
 */

import { createSqliteStore } from "../../coordinator/src/storage/sqlite.ts";
import { clientIds, commitOf, openRound, taskRecord, versionRecord } from "./records.ts";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: store-holder <file>");

const store = await createSqliteStore({ file });
await store.createTask(taskRecord("a"), versionRecord("a", 0));
for (let number = 1; ; number++) {
  const round = openRound("a", number, { baseModelVersion: number - 1 });
  await store.saveOpenRound(round, clientIds(20));
  await store.commitRound(commitOf(round, number, { reported: clientIds(20) }));
  // Only what has left this process counts as said.
  await new Promise<void>((resolve) => process.stdout.write(`${number}\n`, () => resolve()));
}
