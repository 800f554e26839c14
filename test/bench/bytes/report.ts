/** Runs as they are kept: settings, machine, and the curve of bytes against accuracy over seeds, with its goals. */

import { isDeepStrictEqual } from "node:util";

import type { Machine } from "../speed/report.ts";
import type { BytesGoal, BytesSettings } from "./cases.ts";
import { BYTES_CASES, GOALS } from "./cases.ts";
import type { BytesResult } from "./run-case.ts";

/** When and where cases were run. */
export interface BytesRun {
  readonly date: string;
  readonly command: string;
  readonly commit?: string;
  readonly machine: Machine;
}

/** One case by one seed. */
export type CaseOfSeed = Pick<BytesResult, "name" | "seed">;

/** Runs after the first one that added cases or seeds to it. */
export interface AddedRun extends BytesRun {
  readonly cases: readonly CaseOfSeed[];
}

export interface BytesReport extends BytesRun {
  readonly settings: BytesSettings;
  readonly results: readonly BytesResult[];
  readonly added?: readonly AddedRun[];
}

export const isSame = (a: CaseOfSeed, b: CaseOfSeed): boolean =>
  a.name === b.name && a.seed === b.seed;

/**
 * A kept report with more cases or seeds of the same training: all comes from the seeds, so that it is as if all had
 * been run at once.
 * @throws Error for other settings, and for a case that it has of the same seed
 */
export function withMore(
  kept: BytesReport,
  { settings, results, ...run }: Omit<BytesReport, "added">,
): BytesReport {
  if (!isDeepStrictEqual(kept.settings, settings)) {
    throw new Error(
      `what is kept was run with other settings: ${JSON.stringify(kept.settings)}, not ${JSON.stringify(settings)}`,
    );
  }
  const cases = results.map(({ name, seed }) => ({ name, seed }));
  const twice = cases.find((each) => kept.results.some((result) => isSame(result, each)));
  if (twice !== undefined)
    throw new Error(`${twice.name} of seed ${twice.seed} is in what is kept`);
  const added = [...(kept.added ?? []), ...(cases.length === 0 ? [] : [{ ...run, cases }])];
  return { ...kept, results: inOrder([...kept.results, ...results]), added };
}

/** In the order in which cases are run, each by rising seeds. */
export function inOrder(results: readonly BytesResult[]): readonly BytesResult[] {
  const place = ({ name }: BytesResult) => BYTES_CASES.findIndex((each) => each.name === name);
  return [...results].sort((a, b) => place(a) - place(b) || a.seed - b.seed);
}

const referenceOf = (seed: number) => (result: BytesResult) =>
  isSame(result, { name: "float32", seed });

/** Those with a float32 run of their seed among all: cases run beside each other, and it may be done later than others. */
export const comparable = (
  results: readonly BytesResult[],
  all: readonly BytesResult[],
): readonly BytesResult[] => results.filter(({ seed }) => all.some(referenceOf(seed)));

export interface Spread {
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

/** One encoding over its seeds. */
export interface CurvePoint {
  readonly name: string;
  readonly seeds: readonly number[];
  /** Means over the seeds, as are those of brotli. */
  readonly bytes: number;
  readonly brotliBytes: number;
  readonly brotliMs: number;
  /** Of the bytes of float32. */
  readonly share: number;
  readonly accuracy: Spread;
  /** Points of accuracy (per cent) below float32 of the same seed; negative where it is above. */
  readonly pointsLost: Spread;
}

/** @throws Error for a seed without a float32 run to compare with */
export function curveOf(results: readonly BytesResult[]): readonly CurvePoint[] {
  const names = [...new Set(results.map(({ name }) => name))];
  return names.map((name) => {
    const own = results.filter((result) => result.name === name);
    const references = own.map(({ seed }) => {
      const reference = results.find(referenceOf(seed));
      if (reference !== undefined) return reference;
      throw new Error(`nothing to compare with: float32 was not run for seed ${seed}`);
    });
    return {
      ...{ name, seeds: own.map(({ seed }) => seed) },
      bytes: mean(own.map(({ bytes }) => bytes)),
      brotliBytes: mean(own.map(({ brotliBytes }) => brotliBytes)),
      brotliMs: mean(own.map(({ brotliMs }) => brotliMs)),
      share: mean(own.map(({ bytes }, i) => bytes / references[i]!.bytes)),
      accuracy: spreadOf(own.map(({ accuracy }) => accuracy)),
      pointsLost: spreadOf(
        own.map(({ accuracy }, i) => 100 * (references[i]!.accuracy - accuracy)),
      ),
    };
  });
}

/**
 * Of the encodings that meet a goal in the mean of their seeds, the one with the most seeds, and of those the most
 * accurate: one seed may be luck. Undefined where none does.
 */
export const bestFor = (
  curve: readonly CurvePoint[],
  { share, points }: BytesGoal,
): CurvePoint | undefined =>
  curve
    .filter((point) => point.share <= share && point.pointsLost.mean <= points)
    .sort((a, b) => b.seeds.length - a.seeds.length || a.pointsLost.mean - b.pointsLost.mean)[0];

export function renderBytes(report: BytesReport): string {
  const { settings, results, added = [] } = report;
  const curve = curveOf(results);
  const seeds = [...new Set(results.map(({ seed }) => seed))].sort((a, b) => a - b);
  const missing = BYTES_CASES.map(({ name }) => name).filter(
    (name) => !results.some((result) => result.name === name),
  );
  const row = (point: CurvePoint) =>
    [
      point.name,
      seedsText(point),
      thousands(point.bytes),
      `1/${(1 / point.share).toFixed(1)}`,
      spreadText(point.accuracy, 100, " %"),
      spreadText(point.pointsLost),
      `${((100 * point.brotliBytes) / point.bytes).toFixed(0)} %`,
      point.brotliMs.toFixed(0),
    ].join(" | ");
  const goals = GOALS.map((goal) => {
    const best = bestFor(curve, goal);
    const text = `at most 1/${1 / goal.share} of the bytes at no more than ${goal.points} points lost`;
    if (best === undefined) return `- **missed**: ${text}`;
    const over =
      best.seeds.length === 1 ? "by one seed only" : `in the mean of seeds ${seedsText(best)}`;
    return `- met: ${text}: ${best.name} sends 1/${(1 / best.share).toFixed(1)} and loses ${spreadText(best.pointsLost)} points, ${over}`;
  });
  const { model, clients, cohort, examples, batchSize, learningRate, rounds, lastRounds } =
    settings;
  return `# Bytes against accuracy

Written by \`npm run bench:bytes\` from \`RESULTS.json\` beside it; never edited.

- Run: ${runText(report)}
- Machine: ${machineText(report)}
${added.map((run) => `- Added: ${casesText(run.cases)}: ${runText(run)}; on ${machineText(run)}\n`).join("")}- Training: ${model} on MNIST, ${clients} clients of ${examples} images, ${cohort} in each of ${rounds} rounds, batch ${batchSize}, learning rate ${learningRate}, one epoch; seeds ${seeds.join(", ")}, each the same for every encoding

## Goals

${goals.join("\n")}

## Curve

| encoding | seeds | bytes an update | of float32 | accuracy | points lost | after brotli | brotli, ms CPU |
| --- | --- | --- | --- | --- | --- | --- | --- |
${curve.map((point) => `| ${row(point)} |`).join("\n")}

- Accuracy is the mean of the models after the last ${lastRounds} rounds on ${thousands(settings.testImages)} test images. Points are lost against float32 of the same seed. Both are the mean over seeds, with the least and the most; of one seed, a difference of some tenths of a point may be luck.
- Bytes are those of the frame, header and metrics included. Brotli at quality 1, of the last round's updates.
${missing.length === 0 ? "" : `- Not run, as the command was ended before: ${missing.join("; ")}. With \`--continue\` it adds them.\n`}- Feedback is the client's memory of what it has not sent; an encoding says where it has none.
`;
}

const runText = ({ date, command, commit }: BytesRun): string =>
  `${date}, \`${command}\`${commit === undefined ? "" : `, commit ${commit}`}`;
const machineText = ({ machine }: BytesRun): string =>
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}; load before ${machine.loadBefore}`;

/** Names by seed: "seed 2 (float32; int4), seed 3 (float32)". */
function casesText(cases: readonly CaseOfSeed[]): string {
  const seeds = [...new Set(cases.map(({ seed }) => seed))].sort((a, b) => a - b);
  return seeds
    .map((seed) => {
      const names = cases.filter((each) => each.seed === seed).map(({ name }) => name);
      return `seed ${seed} (${names.join("; ")})`;
    })
    .join(", ");
}

const seedsText = ({ seeds }: CurvePoint): string =>
  seeds.length === 1 ? `**${String(seeds[0])} only**` : seeds.join(", ");

/** The mean, and the least and the most where seeds differ. */
function spreadText({ mean: middle, min, max }: Spread, scale = 1, unit = ""): string {
  const text = (value: number) => (scale * value).toFixed(2).replace(/^-(0\.00)$/, "$1");
  const range = min === max ? "" : ` (${text(min)} to ${text(max)})`;
  return `${text(middle)}${unit}${range}`;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, each) => sum + each, 0) / values.length;
const spreadOf = (values: readonly number[]): Spread => ({
  ...{ mean: mean(values), min: Math.min(...values), max: Math.max(...values) },
});
const thousands = (value: number) => Math.round(value).toLocaleString("en").replaceAll(",", " ");
