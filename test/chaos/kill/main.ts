/** `npm run chaos:kill`: kills a coordinator hundreds of times and says what was lost. JSON on stdout. */

import { parseArgs } from "node:util";

import { runCampaign } from "./campaign.ts";
import { manyKills } from "./plan.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
  throw new Error("usage: npm run chaos:kill -- [--kills n] [--seed n] [--json]");
}
let done = 0;
const report = await runCampaign(manyKills(kills, seed), seed, (name, recoveryMs) => {
  done += 1;
  if (!values.json) console.error(`${done} ${name}: back after ${Math.round(recoveryMs)} ms`);
});
console.log(JSON.stringify({ seed, ...report }, null, values.json ? 0 : 1));
const RECOVERY_LIMIT_MS = 5_000;
const isGood = report.violations.length === 0 && report.recoveryMs.max <= RECOVERY_LIMIT_MS;
process.exitCode = isGood ? 0 : 1;
