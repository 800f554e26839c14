/** Curves of the same experiments in PyTorch: the outside reference, where its file is at hand. */

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { DigitsCase } from "./cases.ts";

interface ReferenceRun {
  readonly kind: string;
  readonly lr: number;
  readonly E: number;
  readonly B: number;
  readonly seed: number;
  readonly hit: Readonly<Record<string, number>>;
}

/**
 * Rounds to the case's target in each reference run that reached it.
 * @returns undefined without the file `mnist-writers/fedavg-reference-curves.json` in the folder that
 * TRIBUTARY_DATA_DIR names
 */
export async function referenceRounds(
  { reference, job, targetAccuracy }: DigitsCase,
  dataDirectory = process.env.TRIBUTARY_DATA_DIR,
): Promise<readonly number[] | undefined> {
  if (dataDirectory === undefined) return undefined;
  const path = join(dataDirectory, "mnist-writers", "fedavg-reference-curves.json");
  if (!existsSync(path)) return undefined;
  const file = JSON.parse(await readFile(path, "utf8")) as Record<string, readonly ReferenceRun[]>;
  return (file[reference.runs] ?? [])
    .filter(
      (run) =>
        run.kind === reference.kind &&
        run.lr === job.learningRate &&
        run.E === job.epochs &&
        run.B === job.batchSize,
    )
    .map((run) => run.hit[String(targetAccuracy)])
    .filter((rounds) => rounds !== undefined);
}
