/**
 * Samples of noise per second: fast with SIMD, fast without, exact; and numpy's generator, which is not
 * cryptographic, in the same run where Python has it. Cases take turns, so that a busy machine is busy for all.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import {
  createExactNoise,
  createIntegerNoise,
  createSecureRandom,
} from "@tributary/coordinator/privacy";

import { mapSpread, measure, rounded, spreadOf } from "../speed/measure.ts";
import type { Measured } from "../speed/measure.ts";
import type { Spread } from "../speed/section.ts";

export interface NoiseFigures {
  readonly name: string;
  readonly samples: number;
  /** In millions. */
  readonly perWallSecond: Spread;
  readonly perCpuSecond: Spread;
  /** Most CPU time between two turns of the event loop, of all runs; of noise that is drawn on it. */
  readonly longestTurnCpuMs?: number;
}

export interface NoiseReport {
  readonly cases: readonly NoiseFigures[];
  /** Median of perCpuSecond of fast noise over numpy's; absent where there is no numpy. */
  readonly fastOverNumpy?: number;
}

/** A deviation as grids have it. */
const STDDEV = 1.3 * 2 ** 20;
const EXACT = "exact (thread)";

export interface NoiseSize {
  readonly fast: number;
  readonly exact: number;
  readonly runs: number;
}

export async function benchNoise({ fast, exact, runs }: NoiseSize): Promise<NoiseReport> {
  const random = createSecureRandom();
  const measured = async (
    name: string,
    samples: number,
    noise: ReturnType<typeof createExactNoise>,
  ) => {
    const sum = new Float64Array(samples);
    const turns = watchTurns();
    const figures = await measure(runs, () => noise.add(sum, STDDEV));
    const longestTurnCpuMs = rounded(turns.stop());
    // A thread's CPU time is counted with the process's.
    return name === EXACT
      ? figuresOf(name, samples, figures)
      : { ...figuresOf(name, samples, figures), longestTurnCpuMs };
  };
  const fastCase = await measured("fast (SIMD)", fast, createIntegerNoise(random));
  const plain = await measured(
    "fast (plain)",
    Math.ceil(fast / 8),
    withoutWasm(() => createIntegerNoise(random)),
  );
  const exactCase = await measured(EXACT, exact, createExactNoise());
  const numpy = await benchNumpy(fast, runs);
  const cases = [fastCase, plain, exactCase];
  if (numpy === undefined) return { cases };
  return {
    cases: [...cases, numpy],
    fastOverNumpy: rounded(fastCase.perCpuSecond.median / numpy.perCpuSecond.median),
  };
}

function figuresOf(name: string, samples: number, { wallMs, cpuMs }: Measured): NoiseFigures {
  return {
    name,
    samples,
    perWallSecond: mapSpread(wallMs, (ms) => samples / ms / 1e3),
    perCpuSecond: mapSpread(cpuMs, (ms) => samples / ms / 1e3),
  };
}

/** As on an engine that has none: what is opened now runs plain code. */
function withoutWasm<T>(open: () => T): T {
  const { WebAssembly: wasm } = globalThis;
  Object.defineProperty(globalThis, "WebAssembly", { value: undefined, configurable: true });
  try {
    return open();
  } finally {
    Object.defineProperty(globalThis, "WebAssembly", { value: wasm, configurable: true });
  }
}

/** The most CPU time between two turns of the event loop: wall time is that of other processes, too. */
function watchTurns(): { stop(): number } {
  let last = process.cpuUsage();
  let longestMs = 0;
  let isOver = false;
  const turn = () => {
    const { user, system } = process.cpuUsage(last);
    longestMs = Math.max(longestMs, (user + system) / 1_000);
    last = process.cpuUsage();
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    stop: () => {
      isOver = true;
      return longestMs;
    },
  };
}

const NUMPY = `
import json, sys, time
import numpy
samples, runs = int(sys.argv[1]), int(sys.argv[2])
generator = numpy.random.default_rng()
wall, cpu = [], []
for i in range(runs + 1):
    w, c = time.perf_counter(), time.process_time()
    generator.standard_normal(samples)
    wall.append(time.perf_counter() - w)
    cpu.append(time.process_time() - c)
print(json.dumps({"wall": wall[1:], "cpu": cpu[1:], "version": numpy.__version__}))
`;

/** numpy's PCG64 and ziggurat, float64; undefined where Python or numpy is missing. */
async function benchNumpy(samples: number, runs: number): Promise<NoiseFigures | undefined> {
  let stdout: string;
  try {
    ({ stdout } = await promisify(execFile)("python3", ["-c", NUMPY, `${samples}`, `${runs}`], {
      timeout: 120_000,
      killSignal: "SIGKILL",
    }));
  } catch {
    return undefined;
  }
  const { wall, cpu, version } = JSON.parse(stdout) as {
    readonly wall: number[];
    readonly cpu: number[];
    readonly version: string;
  };
  const inMs = (seconds: readonly number[]) => spreadOf(seconds.map((second) => 1e3 * second));
  return figuresOf(`numpy ${version}`, samples, { wallMs: inMs(wall), cpuMs: inMs(cpu) });
}
