/**
 * `npm run fuzz -- --cases 1000000 --seed N --seconds S --json`: fuzzes every decoder. A child process does
 * the work, with little memory; this one watches it, so that a hang or a crash of the whole is seen, too.
 */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { FuzzReport } from "./run.ts";
import { fuzz } from "./run.ts";

/** A batch takes seconds; a child that is silent for longer hangs in one of its cases. */
const SILENCE_MS = 120_000;
/** Many times what a run needs: more means that something grows with the cases. */
const HEAP_LIMIT_MEGABYTES = 256;

const say = (line: string) => void process.stdout.write(`${line}\n`);
const warn = (line: string) => void process.stderr.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    cases: { type: "string", default: "1000000" },
    seed: { type: "string" },
    seconds: { type: "string", default: "3600" },
    json: { type: "boolean", default: false },
    child: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const cases = Number(values.cases);

interface FromChild {
  readonly batch?: string;
  readonly report?: FuzzReport;
}

if (values.child) {
  const report = await fuzz({
    ...{ cases, seed, seconds: Number(values.seconds) },
    onBatch: (batch) => process.send?.({ batch } satisfies FromChild),
  });
  process.send?.({ report } satisfies FromChild, () => process.disconnect());
} else {
  process.exitCode = await watch();
}

async function watch(): Promise<number> {
  const args = ["--child", "--cases", `${cases}`, "--seed", `${seed}`, "--seconds", values.seconds];
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      "--expose-gc",
      `--max-old-space-size=${HEAP_LIMIT_MEGABYTES}`,
      fileURLToPath(import.meta.url),
      ...args,
    ],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  process.once("exit", () => child.kill("SIGKILL"));
  let at = "the start";
  let report: FuzzReport | undefined;
  let alarm: ReturnType<typeof setTimeout> | undefined;
  const rewind = () => {
    clearTimeout(alarm);
    alarm = setTimeout(() => {
      warn(`HANG in target "${at}", seed ${seed}`);
      child.kill("SIGKILL");
    }, SILENCE_MS);
  };
  rewind();
  child.on("message", (message: FromChild) => {
    rewind();
    at = message.batch ?? at;
    report = message.report ?? report;
  });
  const exit = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  clearTimeout(alarm);
  if (report === undefined) {
    warn(`the fuzzing process ended with ${exit} in target "${at}", seed ${seed}`);
    return 1;
  }
  if (values.json) say(JSON.stringify({ seed, ...report }, null, 2));
  else print(report);
  return report.crashers.length === 0 ? 0 : 1;
}

function print(report: FuzzReport): void {
  for (const [name, { cases: run, accepted, slowestMs }] of Object.entries(report.targets)) {
    const share = `${((100 * accepted) / Math.max(1, run)).toFixed(1)} % accepted`;
    say(
      `${name.padEnd(24)}${`${run}`.padStart(9)}  ${share.padEnd(17)} slowest ${slowestMs.toFixed(1)} ms`,
    );
  }
  const { before, after } = report.heapMegabytes;
  say(
    `${report.cases} cases in ${report.seconds} s (${report.casesPerSecond} a second), seed ${seed}, ` +
      `heap ${before} -> ${after} MB, ${report.crashers.length} crashers`,
  );
  for (const crasher of report.crashers) say(JSON.stringify(crasher, null, 2));
}
