/**
 * `npm run mutate -- [names or numbers of failures] --json --timeout SECONDS`: flips each known bug in, in a
 * copy of the working tree, and expects the tests to find it. Exit code 1 when one is not found.
 */

import { parseArgs } from "node:util";

import type { Verdict } from "./judge.ts";
import { judge } from "./judge.ts";
import { loadMutants } from "./mutant.ts";
import { openWorkshop } from "./workshop.ts";

const say = (line: string) => void process.stdout.write(`${line}\n`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    timeout: { type: "string", default: "180" },
  },
});
// The exit handler removes the copy.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(1));
}

const all = await loadMutants();
const mutants = all.filter(
  ({ name, failure }) =>
    positionals.length === 0 || positionals.some((p) => p === `${failure}` || name.startsWith(p)),
);
if (mutants.length === 0) throw new Error(`none of ${all.map(({ name }) => name).join(", ")}`);

await using workshop = await openWorkshop();
const verdicts = await judge(workshop, mutants, {
  timeoutMs: Number(values.timeout) * 1000,
  ...(values.json ? {} : { onVerdict: print }),
});
const killed = verdicts.filter(({ outcome }) => outcome === "killed").length;
if (values.json) say(JSON.stringify({ killed, of: verdicts.length, verdicts }, null, 2));
else say(`${killed} of ${verdicts.length} bugs found`);
if (killed < verdicts.length) process.exitCode = 1;

function print({ name, title, outcome, because, durationMs }: Verdict): void {
  const seconds = `${(durationMs / 1000).toFixed(1)} s`.padStart(7);
  say(`${outcome.padEnd(9)}${seconds}  ${name.padEnd(34)} ${title}`);
  for (const line of outcome === "killed" ? because.slice(0, 1) : because)
    say(`${" ".repeat(18)}${line}`);
}
