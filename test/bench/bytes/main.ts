/**
 * `npm run bench:bytes -- [options]`: the curve of bytes against accuracy. JSON on stdout, a table on stderr; a run
 * of all cases is kept in `RESULTS.json` and `RESULTS.md` beside this file, case by case as they are done. One that was
 * ended before is gone on with by `--continue`.
 */

import { fork } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { commitOf, describeMachine } from "../speed/report.ts";
import type { FromCase, ToCase } from "./case-process.ts";
import type { BytesCase, BytesSettings } from "./cases.ts";
import { BYTES_CASES, DEFAULT_SETTINGS } from "./cases.ts";
import type { BytesReport } from "./report.ts";
import { inOrder, renderBytes, withMore } from "./report.ts";
import type { BytesResult } from "./run-case.ts";

const HERE = new URL("./", import.meta.url);

const { values } = parseArgs({
  options: {
    /** One of the names in `cases.ts`; may be repeated. float32 is run in any case. */
    case: { type: "string", multiple: true },
    /** Adds what is lacking to what is kept, which must have been run with the same settings. */
    continue: { type: "boolean", default: false },
    /** cnn, or mlp, which takes a hundredth of the time. */
    model: { type: "string", default: DEFAULT_SETTINGS.model },
    rounds: { type: "string", default: String(DEFAULT_SETTINGS.rounds) },
    examples: { type: "string", default: String(DEFAULT_SETTINGS.examples) },
    seed: { type: "string", default: String(DEFAULT_SETTINGS.seed) },
    processes: { type: "string", default: "2" },
  },
});
const settings: BytesSettings = {
  ...DEFAULT_SETTINGS,
  model: values.model === "mlp" ? "mlp" : "cnn",
  rounds: wholeNumber("rounds", values.rounds),
  examples: wholeNumber("examples", values.examples),
  seed: wholeNumber("seed", values.seed),
};
const unknown = values.case?.find((name) => !BYTES_CASES.some((each) => each.name === name));
if (unknown !== undefined) {
  throw new Error(
    `no case "${unknown}"; there are ${BYTES_CASES.map(({ name }) => name).join(", ")}`,
  );
}
const kept = values.continue
  ? (JSON.parse(await readFile(new URL("RESULTS.json", HERE), "utf8")) as BytesReport)
  : undefined;
const wanted = BYTES_CASES.filter(
  ({ name }) =>
    !(kept?.results.some((result) => result.name === name) ?? false) &&
    (name === "float32" || values.case === undefined || values.case.includes(name)),
);

const machine = describeMachine();
const date = new Date().toISOString();
const commit = commitOf(fileURLToPath(HERE));
const command = ["npm run bench:bytes", ...(process.argv.length > 2 ? ["--"] : [])]
  .concat(process.argv.slice(2))
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
        `${next.name}: ${Math.round(bytes)} bytes, accuracy ${accuracy.toFixed(4)}, ${seconds.toFixed(0)} s\n`,
      );
    }
  }),
);
process.stdout.write(`${JSON.stringify(reportNow(), null, 1)}\n`);
process.stderr.write(`\n${renderBytes(reportNow())}`);

/** Of what is done: a long run that is ended early has not been for nothing. */
function reportNow(): BytesReport {
  const run = { date, command, ...(commit === undefined ? {} : { commit }), machine, settings };
  const report = { ...run, results: inOrder(results) };
  return kept === undefined ? report : withMore(kept, report);
}

async function keep(): Promise<void> {
  const report = reportNow();
  const isChosen = values.case !== undefined && kept === undefined;
  if (isChosen || !report.results.some(({ name }) => name === "float32")) return;
  await writeFile(new URL("RESULTS.json", HERE), `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(new URL("RESULTS.md", HERE), renderBytes(report));
}

/** In a process of its own: cases run beside each other, and none warms up another's backend. */
function runApart(bytesCase: BytesCase): Promise<BytesResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL("case-process.ts", HERE)), {
      execArgv: process.execArgv,
    });
    child.on("message", (message: FromCase) => {
      if (message.kind === "done") resolve(message.result);
      else if (message.round % 10 === 0) {
        process.stderr.write(`  ${bytesCase.name}: round ${message.round}\n`);
      }
    });
    child.on("exit", (code) => reject(new Error(`${bytesCase.name} ended with ${String(code)}`)));
    child.on("error", reject);
    const job: ToCase = { bytesCase, settings };
    child.send(job);
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new Error(`--${name} must be a whole number above 0, got "${text}"`);
}
