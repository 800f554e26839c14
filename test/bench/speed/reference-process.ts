/**
 * A case in a process of its own, which runs once for each line it is given and answers with its times: so it takes
 * turns with others. Python and C are used where they are, and never asked for.
 */

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { Times } from "./measure.ts";
import { timed } from "./measure.ts";

export interface Reference extends AsyncDisposable {
  /** What it says of itself: "numpy 2.4.6". */
  readonly name: string;
  turn(): Promise<Times>;
}

/**
 * @param setUp Python that defines `name` and `turn()`
 * @returns undefined where there is no Python, or `setUp` fails, as without numpy
 */
export function startPython(
  setUp: string,
  settings: readonly string[] = [],
): Promise<Reference | undefined> {
  const program = `import sys, time
${setUp}
print(name, flush=True)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    turn()
    print(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu), flush=True)
`;
  return startReference("python3", ["-c", program, ...settings]);
}

/**
 * @param setUp C with `static const char *name`, `static void prepare(int argc, char **argv)` and `static void turn(void)`
 * @returns undefined where there is no compiler
 */
export async function startC(
  setUp: string,
  settings: readonly string[] = [],
): Promise<Reference | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "tributary-bench-"));
  const file = join(folder, "reference.c");
  const program = join(folder, "reference");
  const removed = () => rm(folder, { recursive: true, force: true });
  try {
    await writeFile(file, `${setUp}\n${C_LOOP}`);
    await promisify(execFile)("cc", ["-O3", "-march=native", "-o", program, file]);
  } catch {
    await removed();
    return undefined;
  }
  const reference = await startReference(program, settings);
  await removed();
  return reference;
}

const C_LOOP = `
#include <stdio.h>
#include <time.h>
static double ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e3 * t.tv_sec + 1e-6 * t.tv_nsec;
}
int main(int argc, char **argv) {
  prepare(argc, argv);
  printf("%s\\n", name);
  fflush(stdout);
  char line[16];
  while (fgets(line, sizeof line, stdin)) {
    double wall = ms(CLOCK_MONOTONIC), cpu = ms(CLOCK_PROCESS_CPUTIME_ID);
    turn();
    printf("%f %f\\n", ms(CLOCK_MONOTONIC) - wall, ms(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    fflush(stdout);
  }
}
`;

/** @param module calls `answerTurns` */
export function startNode(
  module: URL,
  settings: readonly string[],
): Promise<Reference | undefined> {
  return startReference(process.execPath, [
    ...process.execArgv,
    fileURLToPath(module),
    ...settings,
  ]);
}

/** In a process that `startNode` started. */
export async function answerTurns(name: string, run: () => unknown): Promise<void> {
  process.stdout.write(`${name}\n`);
  const lines = createInterface(process.stdin)[Symbol.asyncIterator]();
  while ((await lines.next()).done !== true) {
    const { wallMs, cpuMs } = await timed(run);
    process.stdout.write(`${wallMs} ${cpuMs}\n`);
  }
}

/** @returns undefined where it does not start */
async function startReference(
  command: string,
  settings: readonly string[],
): Promise<Reference | undefined> {
  const child = spawn(command, settings, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise<void>((resolve) => {
    child.on("error", () => resolve());
    child.on("close", () => resolve());
  });
  // A write to a process that has ended is found out by its silence.
  child.stdin.on("error", () => {});
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => {
    const { value, done } = await lines.next();
    return done === true ? undefined : value;
  };
  const name = await nextLine();
  if (name === undefined) return undefined;
  return {
    name,
    turn: async () => {
      child.stdin.write("\n");
      const line = await nextLine();
      if (line === undefined) throw new Error(`the reference "${name}" ended`);
      const [wallMs = Number.NaN, cpuMs = Number.NaN] = line.split(" ").map(Number);
      return { wallMs, cpuMs };
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
