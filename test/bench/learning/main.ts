/** Does Tributary learn as fast as it should? JSON on stdout and in `results/`, a table on stderr. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { loadTrainWriters } from "@tributary/example-digits";
import { DataMissingError } from "@tributary/example-hospitals";

import { CASE_NAMES, DIGITS_CASES, HEART_CASE, PRIVACY_CASE } from "./cases.ts";
import type { DigitsCase } from "./cases.ts";
import { runDigitsCase } from "./digits-case.ts";
import { runHeartCase } from "./heart-case.ts";
import { runPrivacyCase } from "./privacy-case.ts";
import type { PrivacyResult } from "./privacy-case.ts";
import { referenceRounds } from "./reference.ts";

const HELP = `npm run bench:learning -- [options]
  --case <name>       ${CASE_NAMES.join(" | ")}; may be repeated; default: all
  --seed <n>          partition, first weights, cohorts, batches; default 1
  --max-rounds <n>    stop a digits case after so many rounds
  --processes <n>     processes that train; default 2
  --out <folder>      where the curves go; default test/bench/learning/results`;

interface Options {
  readonly seed: number;
  readonly processes: number;
  readonly maxRounds?: number;
  readonly out: string;
}

/** The result of one case as it is kept and printed, with its line of the table. */
interface Finding {
  readonly result: { readonly case: string; readonly reached: boolean };
  readonly file: string;
  readonly lines: readonly string[];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      case: { type: "string", multiple: true },
      seed: { type: "string", default: "1" },
      "max-rounds": { type: "string" },
      processes: { type: "string", default: "2" },
      out: { type: "string", default: join("test", "bench", "learning", "results") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.error(HELP);
    return 0;
  }
  const wanted = values.case ?? CASE_NAMES;
  const unknown = wanted.find((name) => !CASE_NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`no case "${unknown}"\n${HELP}`);
  const maxRounds = values["max-rounds"];
  const options: Options = {
    seed: wholeNumber("seed", values.seed),
    processes: wholeNumber("processes", values.processes),
    out: values.out,
    ...(maxRounds === undefined ? {} : { maxRounds: wholeNumber("max-rounds", maxRounds) }),
  };

  const findings: Finding[] = [];
  const save = async ({ file, result }: Finding) => {
    await mkdir(options.out, { recursive: true });
    await writeFile(join(options.out, file), `${JSON.stringify(result, null, 1)}\n`);
  };
  const add = async (finding: Finding) => {
    findings.push(finding);
    await save(finding);
  };
  for (const digits of DIGITS_CASES.filter(({ name }) => wanted.includes(name))) {
    await add(await measureDigits(digits, options));
  }
  if (wanted.includes(PRIVACY_CASE.name)) {
    if ((await loadTrainWriters()) === undefined) {
      console.error(
        `\n${PRIVACY_CASE.name} NOT MEASURED: it needs mnist-writers/ in the folder that TRIBUTARY_DATA_DIR names`,
      );
    } else await add(await measurePrivacy(options, save));
  }
  if (wanted.includes(HEART_CASE)) {
    try {
      await add(await measureHeart());
    } catch (error) {
      if (!(error instanceof DataMissingError)) throw error;
      console.error(`\n${HEART_CASE} NOT MEASURED: ${error.message}`);
    }
  }
  console.log(JSON.stringify(findings.map(({ result }) => result)));
  console.error(`\n${findings.flatMap(({ lines }) => lines).join("\n")}`);
  return findings.length > 0 && findings.every(({ result }) => result.reached) ? 0 : 1;
}

async function measureDigits(digits: DigitsCase, options: Options): Promise<Finding> {
  const { seed, processes, maxRounds } = options;
  console.error(`\n${digits.name}, seed ${seed}: to ${digits.targetAccuracy}`);
  const measured = await runDigitsCase(digits, {
    seed,
    processes,
    ...(maxRounds === undefined ? {} : { maxRounds }),
    onRound: ({ round, accuracy, loss }) =>
      console.error(`  round ${round}: accuracy ${accuracy.toFixed(4)}, loss ${loss.toFixed(4)}`),
  });
  const reference = await referenceRounds(digits);
  const { roundsToTarget, best, seconds } = measured;
  return {
    result: { ...measured, ...(reference === undefined ? {} : { referenceRounds: reference }) },
    file: `${digits.name}-seed${seed}.json`,
    lines: [
      `${digits.name.padEnd(14)} rounds to ${digits.targetAccuracy}: ${roundsToTarget ?? "not reached"}` +
        ` (goal <= ${digits.goalRounds}, PyTorch ${reference?.join(", ") ?? "file not at hand"})` +
        `  best ${best.toFixed(4)}  ${seconds.toFixed(0)} s`,
    ],
  };
}

async function measurePrivacy(
  options: Options,
  save: (finding: Finding) => Promise<void>,
): Promise<Finding> {
  const { seed, processes, maxRounds } = options;
  const { name, goal, delta } = PRIVACY_CASE;
  console.error(`\n${name}, seed ${seed}: ${goal.accuracy} at epsilon <= ${goal.epsilon}`);
  const findingOf = (result: PrivacyResult): Finding => ({
    result,
    file: `${name}-seed${seed}.json`,
    lines: [
      ...result.runs.map(
        ({ noiseMultiplier, rounds, epsilon, accuracy, seconds }) =>
          `${name}  z ${noiseMultiplier.toFixed(3)}, ${rounds} rounds: accuracy ${accuracy.toFixed(4)}` +
          ` at epsilon ${epsilon.toFixed(3)}, delta ${delta}  ${seconds.toFixed(0)} s`,
      ),
      ...result.accuracyAtEpsilon.map(
        ({ epsilon, accuracy, noiseMultiplier, round }) =>
          `${name}  epsilon <= ${epsilon}: accuracy ${accuracy.toFixed(4)} (z ${noiseMultiplier.toFixed(3)}, round ${round})`,
      ),
    ],
  });
  const result = await runPrivacyCase(PRIVACY_CASE, {
    seed,
    processes,
    ...(maxRounds === undefined ? {} : { maxRounds }),
    onPlan: (noiseMultiplier, { rounds, serverLearningRate }) =>
      console.error(
        `  z ${noiseMultiplier.toFixed(3)}, ${rounds} rounds, server learning rate ${serverLearningRate}`,
      ),
    onRound: ({ round, epsilon, accuracy, loss }) =>
      console.error(
        `  round ${round}: accuracy ${accuracy.toFixed(4)}, loss ${loss.toFixed(4)}, epsilon ${epsilon.toFixed(3)}`,
      ),
    onResult: (partial) => save(findingOf(partial)),
  });
  return findingOf(result);
}

async function measureHeart(): Promise<Finding> {
  const measured = await runHeartCase();
  const lines = measured.rows.map(({ name, mean, published, difference }) => {
    const against =
      published === undefined || difference === undefined
        ? ""
        : `  published ${published.toFixed(3)}  difference ${difference.toFixed(4)}`;
    return `${HEART_CASE.padEnd(14)} ${name.padEnd(20)} mean accuracy ${mean.toFixed(4)}${against}`;
  });
  return { result: measured, file: `${HEART_CASE}.json`, lines };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} must be a whole number, got "${text}"`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
