/** A client as a process of its own: `client-main.ts URL FOLDER TASK`. It says how its part ended. */

import { join } from "node:path";

import { createClient } from "@tributary/client-sdk";
import { createFileLedger, loadClientKey } from "@tributary/client-sdk/node";

import { countingTrainer } from "../../support/trainers.ts";

const [url = "", folder = "", taskId = ""] = process.argv.slice(2);
const client = createClient({
  url,
  clientKey: await loadClientKey(join(folder, "client.key")),
  backoff: { baseMs: 5, maxMs: 50 },
  privacy: { ledger: createFileLedger({ directory: join(folder, "ledger-of-the-client") }) },
});
const { reason } = await client.join(taskId, { trainer: countingTrainer() }).done;
const { updates } = await client.privacy(taskId);
await client.close();
// The channel to its parent would keep it.
process.stdout.write(`${JSON.stringify({ reason, updates })}\n`, () => process.exit(0));
