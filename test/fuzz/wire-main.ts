/** `npm run fuzz:wire -- --cases 100000 --seed N`: fuzzes a real process over real sockets, and reports as JSON. */

import { parseArgs } from "node:util";

import { attackWire } from "./attack-wire.ts";

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "100000" },
    seed: { type: "string" },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
/** So many at a time: the cases of one attack are made before it begins. */
const PART = 20_000;

const cases = Number(values.cases);
let failed = false;
for (let done = 0; done < cases; done += PART) {
  const part = Math.min(PART, cases - done);
  const attack = await attackWire(part, seed + done);
  failed ||= !attack.alive || attack.faults.length > 0 || attack.errors.length > 0;
  process.stdout.write(`${JSON.stringify({ seed: seed + done, ...attack })}\n`);
}
process.exitCode = failed ? 1 : 0;
