/** `npm run chaos:kill`: kills a coordinator hundreds of times and says what was lost. JSON on stdout. */

import { parseArgs } from "node:util";

import { runCampaign } from "./campaign.ts";
import { manyKills } from "./plan.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    /** Tasks of another kind: `encoded` has int8, shares, a robust rule, and a matrix run. */
    tasks: { type: "string", default: "plain" },
    json: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const set = values.tasks;
if (set !== "plain" && set !== "encoded") throw new Error("--tasks is plain or encoded");
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
  throw new Error(
    "usage: npm run chaos:kill -- [--kills n] [--seed n] [--tasks plain|encoded] [--json]",
  );
}
let done = 0;
const tell = (name: string, recoveryMs: number) => {
  done += 1;
  if (!values.json) console.error(`${done} ${name}: back after ${Math.round(recoveryMs)} ms`);
};
const report = await runCampaign(manyKills(kills, seed), seed, tell, set);
console.log(JSON.stringify({ seed, ...report }, null, values.json ? 0 : 1));
const RECOVERY_LIMIT_MS = 5_000;
const isGood = report.violations.length === 0 && report.recoveryMs.max <= RECOVERY_LIMIT_MS;
process.exitCode = isGood ? 0 : 1;
