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
export function measureInTurns<Name extends string>(
  runs: number,
  cases: Readonly<Record<Name, () => unknown>>,
): Promise<Record<Name, Measured>> {
  const timedCases = Object.entries<() => unknown>(cases).map(([name, run]) => [
    name,
    () => timed(run),
  ]);
  return takeTurns(runs, Object.fromEntries(timedCases) as Record<Name, () => Promise<Times>>);
}

export interface Times {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Of one run in this process. */
export async function timed(run: () => unknown): Promise<Times> {
  const before = process.cpuUsage();
  const start = performance.now();
  await run();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1_000 };
}

/** As `measureInTurns`, of cases that take their own time: in another process, or without their preparations. */
export async function takeTurns<Name extends string>(
  runs: number,
  cases: Readonly<Record<Name, () => Promise<Times>>>,
): Promise<Record<Name, Measured>> {
  const names = Object.keys(cases) as Name[];
  const times = new Map(names.map((name) => [name, [] as Times[]]));
  // The first turn warms up.
  for (let turn = 0; turn <= runs; turn++) {
    for (const name of names) {
      const taken = await cases[name]();
      if (turn > 0) times.get(name)?.push(taken);
    }
  }
  const measured = [...times].map(([name, taken]) => [
    name,
    {
      wallMs: spreadOf(taken.map(({ wallMs }) => wallMs)),
      cpuMs: spreadOf(taken.map(({ cpuMs }) => cpuMs)),
    },
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
