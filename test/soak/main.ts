/** `npm run soak -- --rounds 1000 --clients 100`: the full run; prints its report as JSON, fails on a leak. */

import { parseArgs } from "node:util";

import { faultsOf } from "./limits.ts";
import { soak } from "./soak.ts";

/** A tenth of one update of one client, of which a round has a hundred. */
const MOST_BYTES_PER_ROUND = 4096;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1000" },
    clients: { type: "string", default: "100" },
  },
});

const report = await soak({ rounds: Number(values.rounds), clients: Number(values.clients) });
const faults = faultsOf(report, MOST_BYTES_PER_ROUND);
process.stdout.write(`${JSON.stringify({ ...report, faults }, null, 2)}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
