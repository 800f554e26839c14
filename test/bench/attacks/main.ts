/**
 * `npm run bench:attacks`: what each aggregation rule is worth against each attack, on real digits. A table on stderr,
 * JSON on stdout; a full run is kept in RESULTS.md beside this file.
 */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

import { loadMnist, loadTrainWriters } from "@tributary/example-digits";

import { commitOf, describeMachine } from "../speed/report.ts";
import type { ArenaSettings, Defence } from "./arena.ts";
import { playAttack, populationOf } from "./arena.ts";
import { ATTACKS } from "./attacks.ts";
import type { AttackReport } from "./results.ts";
import { percent, renderAttacks } from "./results.ts";

const HELP = `npm run bench:attacks -- [options]
  --rounds <n>  default 12
  --seed <n>    who is drawn, who lies, first weights, batches; default 1
  --mini        two rounds, to see that it runs; keeps nothing`;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "12" },
    seed: { type: "string", default: "1" },
    mini: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const settings: ArenaSettings = {
  seed: Number(values.seed),
  ...{ cohort: 20, liars: 4 },
  rounds: values.mini ? 2 : Number(values.rounds),
  ...{ epochs: 2, batchSize: 10, learningRate: 0.1 },
  judged: values.mini ? 500 : 2_000,
};

/** Longest update that an honest client sends here, about; and how far honest ones are from their middle. */
const NORM = 2;
const DEFENCES: readonly Defence[] = [
  { name: "mean, by examples (default)", aggregation: { kind: "mean", weighted: true } },
  { name: "mean, all alike", aggregation: { kind: "mean" } },
  { name: `mean, clippingNorm ${NORM}`, aggregation: { kind: "mean" }, clippingNorm: NORM },
  { name: "normBounding, factor 1", aggregation: { kind: "normBounding", factor: 1 } },
  {
    name: `centredClipping, radius ${NORM}`,
    aggregation: { kind: "centredClipping", radius: NORM, iterations: 5 },
  },
  {
    name: "geometricMedian",
    aggregation: { kind: "geometricMedian", iterations: 8, smoothing: 1e-6 },
  },
  { name: "median", aggregation: { kind: "median" } },
  { name: "trimmedMean, trim 4", aggregation: { kind: "trimmedMean", trim: 4 } },
  { name: "krum, select 1", aggregation: { kind: "krum", byzantine: 4, select: 1 } },
  { name: "krum, select 14", aggregation: { kind: "krum", byzantine: 4, select: 14 } },
];

/** Real writers lie beside a clone of the project, where the data sets are; or where the variable says. */
const BESIDE = fileURLToPath(new URL("../../../../shared/data", import.meta.url));

async function main(): Promise<void> {
  if (values.help) {
    console.error(HELP);
    return;
  }
  if (![settings.rounds, settings.seed].every((n) => Number.isSafeInteger(n) && n >= 1)) {
    throw new Error(`--rounds and --seed are whole numbers of 1 or more\n${HELP}`);
  }
  const folder = process.env.TRIBUTARY_DATA_DIR ?? (existsSync(BESIDE) ? BESIDE : undefined);
  const mnist = await loadMnist();
  const writers = await loadTrainWriters(folder);
  const population = populationOf(
    mnist.train,
    writers,
    settings.liars / settings.cohort,
    settings.seed,
  );
  const before = process.cpuUsage();
  const rows = DEFENCES.map((defence) => {
    const accuracies = ATTACKS.map((attack) =>
      playAttack(mnist, population, attack, defence, settings),
    );
    console.error(`${defence.name.padEnd(30)} ${accuracies.map(percent).join("  ")}`);
    return { defence: defence.name, accuracies };
  });
  const { user, system } = process.cpuUsage(before);
  const commit = commitOf(fileURLToPath(new URL("./", import.meta.url)));
  const report: AttackReport = {
    command: ["npm run bench:attacks", ...process.argv.slice(2)].join(" -- "),
    date: new Date().toISOString(),
    ...(commit === undefined ? {} : { commit }),
    machine: describeMachine(),
    cpuSeconds: Math.round((user + system) / 1e6),
    settings,
    clients:
      writers === undefined
        ? "500 clients of two shards of one digit each, as the writers' ids were not at hand"
        : `${population.honest.length + population.liars.length} people who wrote MNIST's training digits, each a client`,
    attacks: ATTACKS.map(({ name, about }) => ({ name, about })),
    rows,
  };
  console.log(JSON.stringify(report));
  if (!values.mini) await writeFile(new URL("RESULTS.md", import.meta.url), renderAttacks(report));
}

await main();
