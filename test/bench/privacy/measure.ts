/** How long something takes: wall and CPU time of several runs, with their spread. */

export interface Measured {
  readonly runs: number;
  /** Medians. */
  readonly wallMs: number;
  readonly cpuMs: number;
  /** (largest - smallest) / median of the wall time. */
  readonly spread: number;
}

/** One run that does not count, then `runs` that do. */
export async function measure(runs: number, run: () => void | Promise<void>): Promise<Measured> {
  await run();
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    const start = performance.now();
    await run();
    wall.push(performance.now() - start);
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1_000);
  }
  const wallMs = median(wall);
  return {
    runs,
    wallMs,
    cpuMs: median(cpu),
    spread: (Math.max(...wall) - Math.min(...wall)) / wallMs,
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
