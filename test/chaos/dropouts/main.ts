/** `npm run chaos:dropouts`: waste and round times at 30 % drop-out. JSON on stdout. */

import { parseArgs } from "node:util";

import { scenarios } from "./scenarios.ts";
import type { Finding } from "./simulation.ts";
import { simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    goal: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
  },
});
const [rounds, goal, seed] = [Number(values.rounds), Number(values.goal), Number(values.seed)];
if (![rounds, goal, seed].every((value) => Number.isInteger(value) && value > 0)) {
  throw new Error("usage: npm run chaos:dropouts -- [--rounds n] [--goal n] [--seed n]");
}
const findings: Finding[] = [];
for (const scenario of scenarios(goal)) {
  const finding = await simulate(scenario, rounds, seed);
  const { wastedShare, roundSeconds, committed } = finding;
  const waste = (100 * wastedShare).toFixed(2);
  console.error(
    `${scenario.name}: ${committed}/${rounds} committed, ${waste} % wasted, ${roundSeconds.p50} s, p95 ${roundSeconds.p95} s`,
  );
  findings.push(finding);
}
console.log(JSON.stringify(findings, null, 1));
