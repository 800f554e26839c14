/** Four hospitals that share no patient: six federated strategies against pooled and local training. */

import { Command, InvalidArgumentError } from "commander";

import type { Row } from "./experiment.ts";
import { compareStrategies } from "./experiment.ts";
import { CENTRES, hospitalsFrom } from "./heart-disease.ts";
import { DataMissingError, loadDataSet } from "./loader.ts";
import { FED_HEART_DISEASE } from "./registry.ts";
import { SCHEDULE, SEEDS } from "./strategies.ts";

const EXIT_DATA_MISSING = 2;

function parseInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("Must be an integer of at least 1.");
  }
  return value;
}

async function main(): Promise<number> {
  const { rounds, seeds, json } = new Command("hospitals")
    .description("Fed-Heart-Disease: accuracy of federated strategies at four hospitals.")
    .option("--rounds <n>", "rounds of 100 local steps", parseInteger, SCHEDULE.rounds)
    .option("--seeds <n>", "runs that figures are means of", parseInteger, SEEDS.length)
    .option("--json", "print the rows as JSON", false)
    .parse()
    .opts<{ rounds: number; seeds: number; json: boolean }>();

  let files: ReadonlyMap<string, Uint8Array>;
  try {
    files = await loadDataSet(FED_HEART_DISEASE);
  } catch (error) {
    if (!(error instanceof DataMissingError)) throw error;
    console.error(error.message);
    return EXIT_DATA_MISSING;
  }
  const hospitals = hospitalsFrom(files);
  const show = json ? undefined : (row: Row) => console.log(lineOf(row));
  if (!json) {
    console.log(`${FED_HEART_DISEASE.title} (${FED_HEART_DISEASE.licence})`);
    for (const { centre, train, test } of hospitals) {
      console.log(`  ${centre.padEnd(12)} ${train.length} + ${test.length} patients`);
    }
    const header = ["", ...CENTRES, "mean", "std", "published"];
    console.log(`\n${header.map((text, i) => cell(text, i)).join("")}`);
  }
  const rows = await compareStrategies(hospitals, {
    seeds: Array.from({ length: seeds }, (_, i) => (SEEDS[0] ?? 0) + i),
    rounds,
    ...(show === undefined ? {} : { onRow: show }),
  });
  if (json) console.log(JSON.stringify(rows));
  else {
    console.log(
      '\nAccuracy on each hospital\'s test patients, mean over seeds. "pooled" is judged as FLamby does:' +
        "\ntrained with one scaling for all, tested with each hospital's own.",
    );
  }
  return 0;
}

const cell = (text: string, column: number) => (column === 0 ? text.padEnd(20) : text.padStart(12));

function lineOf({ name, perCentre, mean, deviation, published }: Row): string {
  const figures = [...perCentre, mean, deviation].map((value) => value.toFixed(3));
  return [name, ...figures, published?.toFixed(3) ?? "-"].map(cell).join("");
}

process.exitCode = await main();
