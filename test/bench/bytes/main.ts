/**
 * `npm run bench:bytes -- [options]`: the curve of bytes against accuracy. JSON on stdout, a table on stderr; a run
 * of all cases is kept in `RESULTS.json` and `RESULTS.md` beside this file, case by case as they are done. `--continue`
 * goes on with one that was ended before, and adds seeds to it.
 */

import { fork } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { commitOf, describeMachine } from "../speed/report.ts";
import type { FromCase, ToCase } from "./case-process.ts";
import type { BytesCase, BytesSettings } from "./cases.ts";
import { BYTES_CASES, DEFAULT_SEEDS, DEFAULT_SETTINGS } from "./cases.ts";
import type { BytesReport } from "./report.ts";
import { comparable, inOrder, isSame, renderBytes, withMore } from "./report.ts";
import type { BytesResult } from "./run-case.ts";

const HERE = new URL("./", import.meta.url);

const { values } = parseArgs({
  options: {
    /** One of the names in `cases.ts`; may be repeated. float32 is run in any case, for each seed. */
    case: { type: "string", multiple: true },
    /** Adds what is lacking to what is kept, which must have been run with the same settings. */
    continue: { type: "boolean", default: false },
    /** cnn, or mlp, which takes a hundredth of the time. */
    model: { type: "string", default: DEFAULT_SETTINGS.model },
    rounds: { type: "string", default: String(DEFAULT_SETTINGS.rounds) },
    examples: { type: "string", default: String(DEFAULT_SETTINGS.examples) },
    /** Whole numbers with commas between. */
    seeds: { type: "string", default: DEFAULT_SEEDS.join(",") },
    processes: { type: "string", default: "2" },
  },
});
const settings: BytesSettings = {
  ...DEFAULT_SETTINGS,
  model: values.model === "mlp" ? "mlp" : "cnn",
  rounds: wholeNumber("rounds", values.rounds),
  examples: wholeNumber("examples", values.examples),
};
const seeds = [...new Set(values.seeds.split(",").map((text) => wholeNumber("seeds", text)))];
const unknown = values.case?.find((name) => !BYTES_CASES.some((each) => each.name === name));
if (unknown !== undefined) {
  throw new Error(
    `no case "${unknown}"; there are ${BYTES_CASES.map(({ name }) => name).join(", ")}`,
  );
}
const kept = values.continue
  ? (JSON.parse(await readFile(new URL("RESULTS.json", HERE), "utf8")) as BytesReport)
  : undefined;
const chosen = BYTES_CASES.filter(
  ({ name }) => name === "float32" || values.case === undefined || values.case.includes(name),
);
// One seed after the other: whoever ends the command early has whole rows of some seeds.
const wanted = seeds
  .flatMap((seed) => chosen.map((bytesCase) => ({ name: bytesCase.name, seed, bytesCase })))
  .filter((run) => !(kept?.results.some((result) => isSame(result, run)) ?? false));

const machine = describeMachine();
const date = new Date().toISOString();
const commit = commitOf(fileURLToPath(HERE));
const command = ["npm run bench:bytes", ...(process.argv.length > 2 ? ["--"] : [])]
  .concat(process.argv.slice(2).map((each) => (each.includes(" ") ? `"${each}"` : each)))
  .join(" ");
const results: BytesResult[] = [];
// Other settings are told before hours are spent on them.
reportNow();
const waiting = [...wanted];
await Promise.all(
  Array.from({ length: wholeNumber("processes", values.processes) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runApart(next);
      results.push(result);
      await keep();
      const { bytes, accuracy, seconds } = result;
      process.stderr.write(
        `${next.name}, seed ${next.seed}: ${Math.round(bytes)} bytes, accuracy ${accuracy.toFixed(4)}, ${seconds.toFixed(0)} s\n`,
      );
    }
  }),
);
process.stdout.write(`${JSON.stringify(reportNow(), null, 1)}\n`);
process.stderr.write(`\n${renderBytes(reportNow())}`);

/** Of what is done: a long run that is ended early has not been for nothing. */
function reportNow(): BytesReport {
  const run = { date, command, ...(commit === undefined ? {} : { commit }), machine, settings };
  const all = [...(kept?.results ?? []), ...results];
  const report = { ...run, results: inOrder(comparable(results, all)) };
  return kept === undefined ? report : withMore(kept, report);
}

async function keep(): Promise<void> {
  const report = reportNow();
  const isChosen = values.case !== undefined && kept === undefined;
  if (isChosen || report.results.length === 0) return;
  await writeFile(new URL("RESULTS.json", HERE), `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(new URL("RESULTS.md", HERE), renderBytes(report));
}

/** In a process of its own: cases run beside each other, and none warms up another's backend. */
function runApart({
  bytesCase,
  seed,
}: {
  readonly bytesCase: BytesCase;
  readonly seed: number;
}): Promise<BytesResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("case-process.ts", HERE)), {
      execArgv: process.execArgv,
    });
    child.on("message", (message: FromCase) => {
      if (message.kind === "done") resolve(message.result);
      else if (message.round % 10 === 0) {
        process.stderr.write(`  ${bytesCase.name}, seed ${seed}: round ${message.round}\n`);
      }
    });
    child.on("exit", (code) => reject(new Error(`${bytesCase.name} ended with ${String(code)}`)));
    child.on("error", reject);
    const job: ToCase = { bytesCase, seed, settings };
    child.send(job);
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new Error(`--${name} must be a whole number above 0, got "${text}"`);
}
