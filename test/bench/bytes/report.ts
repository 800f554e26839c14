/** A run as it is kept: settings, machine, and the curve of bytes against accuracy with its goals. */

import type { Machine } from "../speed/report.ts";
import type { BytesGoal, BytesSettings } from "./cases.ts";
import { BYTES_CASES, GOALS } from "./cases.ts";
import type { BytesResult } from "./run-case.ts";

export interface BytesReport {
  readonly date: string;
  readonly command: string;
  readonly commit?: string;
  readonly machine: Machine;
  readonly settings: BytesSettings;
  readonly results: readonly BytesResult[];
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

export function renderBytes({ date, command, commit, machine, settings, results }: BytesReport) {
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

- Run: ${date}, \`${command}\`${commit === undefined ? "" : `, commit ${commit}`}
- Machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}; load before ${machine.loadBefore}
- Training: ${model} on MNIST, ${clients} clients of ${examples} images, ${cohort} in each of ${rounds} rounds, batch ${batchSize}, learning rate ${learningRate}, one epoch, seed ${settings.seed}; the same for every encoding

## Goals

${goals.join("\n")}

## Curve

| encoding | bytes an update | of float32 | accuracy | points lost | after brotli | brotli, ms CPU |
| --- | --- | --- | --- | --- | --- | --- |
${curve.map((point) => `| ${row(point)} |`).join("\n")}

- Accuracy is the mean of the models after the last ${lastRounds} rounds on ${thousands(settings.testImages)} test images. Of one run, so that a difference of some tenths of a point may be luck.
- Bytes are those of the frame, header and metrics included. Brotli at quality 1, of the last round's updates.
${missing.length === 0 ? "" : `- Not run, as the command was ended before: ${missing.join("; ")}.\n`}- Feedback is the client's memory of what it has not sent; an encoding says where it has none.
`;
}

const thousands = (value: number) => Math.round(value).toLocaleString("en").replaceAll(",", " ");
