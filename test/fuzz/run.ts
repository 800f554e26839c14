/** Runs targets for so many cases, and says what broke. */

import { inspect } from "node:util";

import fc from "fast-check";

import { checkpointTargets } from "./checkpoints.ts";
import { frameTargets } from "./frames.ts";
import { messageTargets } from "./messages.ts";
import type { FuzzCounts, FuzzTarget } from "./target.ts";
import { textTargets } from "./texts.ts";

export interface FuzzOptions {
  /** Cases in all, divided among the targets by their shares. */
  readonly cases: number;
  readonly seed: number;
  /** No new batch is begun after so long. */
  readonly seconds?: number;
  readonly onBatch?: (batch: string) => void;
}

export interface Crasher {
  readonly target: string;
  /** Give these to see it again: `--seed` and the batch's own. */
  readonly seed: number;
  readonly input: string;
  readonly error: string;
}

export interface FuzzReport {
  readonly cases: number;
  readonly seconds: number;
  readonly casesPerSecond: number;
  readonly slowestMs: number;
  /** Heap in use after a run, with what lived before it. */
  readonly heapMegabytes: { readonly before: number; readonly after: number };
  readonly targets: Readonly<Record<string, FuzzCounts>>;
  readonly crashers: readonly Crasher[];
}

/** Small enough that a batch is done in seconds, and with it the word that nothing hangs. */
const BATCH = 5_000;

export const allTargets = async (): Promise<(FuzzTarget & { counts: FuzzCounts })[]> =>
  [
    ...(await frameTargets()),
    ...(await checkpointTargets()),
    ...(await textTargets()),
    ...(await messageTargets()),
  ] as never;

export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { cases, seed, seconds = Infinity, onBatch = () => {} } = options;
  const targets = await allTargets();
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const crashers: Crasher[] = [];
  const heapBefore = heapMegabytes();
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;

  for (const [index, target] of targets.entries()) {
    const wanted = Math.ceil((cases * target.share) / shares);
    for (let done = 0; done < wanted && elapsed() < seconds; done += BATCH) {
      const batchSeed = (seed + 7919 * index + done) | 0;
      onBatch(`${target.name}, batch ${batchSeed}`);
      // Whoever watches hears of it before the batch begins.
      await new Promise((resolve) => setImmediate(resolve));
      const result = await fc.check(target.property as fc.IAsyncProperty<[unknown]>, {
        numRuns: Math.min(BATCH, wanted - done),
        seed: batchSeed,
      });
      if (!result.failed) continue;
      const cause = result.errorInstance as Error | undefined;
      crashers.push({
        target: target.name,
        seed: batchSeed,
        input: show(result.counterexample),
        error: `${String(cause)} ${String((cause?.cause as Error | undefined)?.stack ?? cause?.stack)}`,
      });
      break;
    }
  }

  const took = elapsed();
  const run = targets.reduce((sum, { counts }) => sum + counts.cases, 0);
  return {
    cases: run,
    seconds: Math.round(took * 10) / 10,
    casesPerSecond: Math.round(run / took),
    slowestMs: Math.round(Math.max(...targets.map(({ counts }) => counts.slowestMs))),
    heapMegabytes: { before: heapBefore, after: heapMegabytes() },
    targets: Object.fromEntries(targets.map(({ name, counts }) => [name, counts])),
    crashers,
  };
}

/** What broke a decoder may break a printer as well. */
function show(input: unknown): string {
  try {
    return inspect(input, { depth: 10, maxStringLength: 500 }).slice(0, 2_000);
  } catch (error) {
    return `cannot be shown: ${String(error)}`;
  }
}

function heapMegabytes(): number {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}
