/** How long something takes: wall and CPU time of several runs, as medians with their spread. */

import type { Spread } from "./section.ts";

export interface Measured {
  readonly wallMs: Spread;
  /** Of the whole process, its threads included; other programs do not count in it. */
  readonly cpuMs: Spread;
}

/** One run that does not count, then `runs` that do. */
export async function measure(runs: number, run: () => unknown): Promise<Measured> {
  const { it } = await measureInTurns(runs, { it: run });
  return it;
}

/** Several cases, turn by turn, so that what else the machine does falls on all of them. */
export async function measureInTurns<Name extends string>(
  runs: number,
  cases: Readonly<Record<Name, () => unknown>>,
): Promise<Record<Name, Measured>> {
  const names = Object.keys(cases) as Name[];
  const times = new Map(names.map((name) => [name, { wall: [] as number[], cpu: [] as number[] }]));
  // The first turn warms up.
  for (let turn = 0; turn <= runs; turn++) {
    for (const name of names) {
      const before = process.cpuUsage();
      const start = performance.now();
      await cases[name]();
      const wallMs = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      if (turn === 0) continue;
      times.get(name)?.wall.push(wallMs);
      times.get(name)?.cpu.push((user + system) / 1_000);
    }
  }
  const measured = [...times].map(([name, { wall, cpu }]) => [
    name,
    { wallMs: spreadOf(wall), cpuMs: spreadOf(cpu) },
  ]);
  return Object.fromEntries(measured) as Record<Name, Measured>;
}

/** Several measurements in three numbers, of four digits. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: rounded(median(values)),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    runs: values.length,
  };
}

/** In another unit: `mapSpread(wallMs, (ms) => bytes / ms / 1e3)` is MB/s. */
export function mapSpread({ median, min, max, runs }: Spread, to: (x: number) => number): Spread {
  const [one, other] = [to(min), to(max)];
  return {
    median: rounded(to(median)),
    min: rounded(Math.min(one, other)),
    max: rounded(Math.max(one, other)),
    runs,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

export const rounded = (value: number): number => Number(value.toPrecision(4));
