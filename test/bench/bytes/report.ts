/** A run as it is kept: settings, machine, and the curve of bytes against accuracy with its goals. */

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

/** Runs after the first one that added cases to it. */
export interface AddedRun extends BytesRun {
  readonly cases: readonly string[];
}

export interface BytesReport extends BytesRun {
  readonly settings: BytesSettings;
  readonly results: readonly BytesResult[];
  readonly added?: readonly AddedRun[];
}

/**
 * A kept report with more cases of the same training: they have the same seeds, so that it is as if all had been run
 * at once.
 * @throws Error for other settings, and for cases that it has
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
  const cases = results.map(({ name }) => name);
  const twice = kept.results.find(({ name }) => cases.includes(name));
  if (twice !== undefined) throw new Error(`${twice.name} is in what is kept`);
  const added = [...(kept.added ?? []), ...(cases.length === 0 ? [] : [{ ...run, cases }])];
  return { ...kept, results: inOrder([...kept.results, ...results]), added };
}

/** In the order in which cases are run. */
export function inOrder(results: readonly BytesResult[]): readonly BytesResult[] {
  const place = ({ name }: BytesResult) => BYTES_CASES.findIndex((each) => each.name === name);
  return [...results].sort((a, b) => place(a) - place(b));
}

/** Against the float32 run of the same report. */
export interface CurvePoint extends BytesResult {
  /** Of the bytes of float32. */
  readonly share: number;
  /** Points of accuracy (per cent) below float32; negative where it is above. */
  readonly pointsLost: number;
}

/** @throws Error without a float32 run to compare with */
export function curveOf(results: readonly BytesResult[]): readonly CurvePoint[] {
  const reference = results.find(({ name }) => name === "float32");
  if (reference === undefined) throw new Error("nothing to compare with: float32 was not run");
  return results.map((result) => ({
    ...result,
    share: result.bytes / reference.bytes,
    pointsLost: 100 * (reference.accuracy - result.accuracy),
  }));
}

/** The most accurate encoding of those that meet a goal; undefined where none does. */
export const bestFor = (
  curve: readonly CurvePoint[],
  { share, points }: BytesGoal,
): CurvePoint | undefined =>
  curve
    .filter((point) => point.share <= share && point.pointsLost <= points)
    .sort((a, b) => a.pointsLost - b.pointsLost)[0];

export function renderBytes(report: BytesReport): string {
  const { settings, results, added = [] } = report;
  const curve = curveOf(results);
  const missing = BYTES_CASES.map(({ name }) => name).filter(
    (name) => !results.some((result) => result.name === name),
  );
  const row = (point: CurvePoint) =>
    [
      point.name,
      thousands(point.bytes),
      `1/${(1 / point.share).toFixed(1)}`,
      `${(100 * point.accuracy).toFixed(2)} %`,
      point.pointsLost.toFixed(2),
      `${((100 * point.brotliBytes) / point.bytes).toFixed(0)} %`,
      point.brotliMs.toFixed(0),
    ].join(" | ");
  const goals = GOALS.map((goal) => {
    const best = bestFor(curve, goal);
    const text = `at most 1/${1 / goal.share} of the bytes at no more than ${goal.points} points lost`;
    if (best === undefined) return `- **missed**: ${text}`;
    return `- met: ${text}: ${best.name} sends 1/${(1 / best.share).toFixed(1)} and loses ${best.pointsLost.toFixed(2)} points`;
  });
  const { model, clients, cohort, examples, batchSize, learningRate, rounds, lastRounds } =
    settings;
  return `# Bytes against accuracy

Written by \`npm run bench:bytes\` from \`RESULTS.json\` beside it; never edited.

- Run: ${runText(report)}
- Machine: ${machineText(report)}
${added.map((run) => `- Added: ${run.cases.join("; ")}: ${runText(run)}; on ${machineText(run)}\n`).join("")}- Training: ${model} on MNIST, ${clients} clients of ${examples} images, ${cohort} in each of ${rounds} rounds, batch ${batchSize}, learning rate ${learningRate}, one epoch, seed ${settings.seed}; the same for every encoding

## Goals

${goals.join("\n")}

## Curve

| encoding | bytes an update | of float32 | accuracy | points lost | after brotli | brotli, ms CPU |
| --- | --- | --- | --- | --- | --- | --- |
${curve.map((point) => `| ${row(point)} |`).join("\n")}

- Accuracy is the mean of the models after the last ${lastRounds} rounds on ${thousands(settings.testImages)} test images. Of one run, so that a difference of some tenths of a point may be luck.
- Bytes are those of the frame, header and metrics included. Brotli at quality 1, of the last round's updates.
${missing.length === 0 ? "" : `- Not run, as the command was ended before: ${missing.join("; ")}. With \`--continue\` it adds them.\n`}- Feedback is the client's memory of what it has not sent; an encoding says where it has none.
`;
}

const runText = ({ date, command, commit }: BytesRun): string =>
  `${date}, \`${command}\`${commit === undefined ? "" : `, commit ${commit}`}`;
const machineText = ({ machine }: BytesRun): string =>
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}; load before ${machine.loadBefore}`;

const thousands = (value: number) => Math.round(value).toLocaleString("en").replaceAll(",", " ");
