/**
 * The weighted mean of updates that have arrived, beside numpy and beside a bare read of the same bytes in C: nothing
 * that looks at each of them can be faster.
 */

import { denseDelta } from "../../../coordinator/src/aggregation/encoded-delta.ts";
import { createFedAvg } from "../../../coordinator/src/aggregation/fed-avg.ts";
import type { SumMemories } from "../../../coordinator/src/aggregation/kernel/sum-memories.ts";
import { createSumMemories } from "../../../coordinator/src/aggregation/kernel/sum-memories.ts";
import type { UpdateSlot } from "../../../coordinator/src/aggregation/update-slots.ts";
import { createRandom } from "../../support/random.ts";
import type { Measured, Times } from "./measure.ts";
import { takeTurns, timed } from "./measure.ts";
import { startMemoryRead } from "./memory-read.ts";
import type { Reference } from "./reference-process.ts";
import { startPython } from "./reference-process.ts";
import { shortly } from "./round.ts";
import type { Goal, Row, Section } from "./section.ts";

interface Size {
  readonly updates: number;
  readonly parameters: number;
}

const AIM = 1.7;

export const meanSection: Section = {
  name: "mean",
  title: "Weighted mean",
  run: async (mini) => {
    const sizes: readonly Size[] = mini
      ? [{ updates: 3, parameters: 1_000 }]
      : [
          { updates: 20, parameters: 1e6 },
          { updates: 8, parameters: 1e7 },
        ];
    const rows: Row[] = [];
    const goals: Goal[] = [];
    for (const size of sizes) {
      const { ours, first, read, references } = await measureSize(size, mini ? 1 : 9);
      const label = `${size.updates} x ${shortly(size.parameters)}`;
      const row = (name: string, { cpuMs, wallMs }: Measured, isReference: boolean): Row => ({
        name: `${label}: ${name}`,
        isReference,
        values: {
          "ms CPU": cpuMs,
          ms: wallMs,
          "times the read": cpuMs.median / read.times.cpuMs.median,
        },
      });
      rows.push(
        row("Tributary, float64 sum", ours, false),
        row("Tributary, first round, in fresh memory", first, false),
        row(read.name, read.times, true),
        ...references.map(({ name, times }) => row(name, times, true)),
      );
      const measured = ours.cpuMs.median / read.times.cpuMs.median;
      goals.push({
        name: `mean of ${label} float32 over ${read.name}, CPU`,
        aim: `at most ${AIM}`,
        measured,
        isReached: measured <= AIM,
      });
    }
    return {
      rows,
      goals,
      notes: [
        "The updates lie where the sum takes them from, as uploads put them there; norms and clipping are in the rounds above. Ours includes the division.",
        "A coordinator's sum lies in memory of a round before; that of its first round, and of a round after a minute of rest, in fresh memory, whose every page the system brings at its first touch: this counts the pages of the sum, those of slots are the uploads'.",
        'numpy "per update" is total += weight * update in float32, "at once" is weights @ matrix, which BLAS computes on all cores.',
      ],
    };
  },
};

interface Named {
  readonly name: string;
  readonly times: Measured;
}

async function measureSize(
  size: Size,
  runs: number,
): Promise<{ ours: Measured; first: Measured; read: Named; references: readonly Named[] }> {
  const { updates, parameters } = size;
  const random = createRandom(1);
  const deltas = Array.from({ length: updates }, () =>
    Float32Array.from({ length: parameters }, () => random.next() - 0.5),
  );
  const settings = [`${updates}`, `${parameters}`];
  await using read = await startMemoryRead(size);
  await using perUpdate = await startPython(NUMPY_PER_UPDATE, settings);
  await using atOnce = await startPython(NUMPY_AT_ONCE, settings);
  const others = [perUpdate, atOnce].filter((one): one is Reference => one !== undefined);
  const memories = createSumMemories();
  await meanOnce(deltas, memories);
  const cases: Record<string, () => Promise<Times>> = {
    ours: () => meanOnce(deltas, memories),
    first: () => meanOnce(deltas, createSumMemories()),
    read: read === undefined ? () => timed(() => readHere(deltas)) : () => read.turn(),
  };
  for (const other of others) cases[other.name] = () => other.turn();
  const measured = await takeTurns(runs, cases);
  const of = (name: string) => measured[name] as Measured;
  return {
    ours: of("ours"),
    first: of("first"),
    read: { name: read?.name ?? "memory read (JavaScript: no C compiler here)", times: of("read") },
    references: others.map(({ name }) => ({ name, times: of(name) })),
  };
}

/** Copying into slots is the uploads' work and not counted. */
async function meanOnce(deltas: readonly Float32Array[], memories: SumMemories): Promise<Times> {
  const parameterCount = deltas[0]?.length ?? 0;
  const weighting = { kind: "byExamples", cap: 1_000 } as const;
  const sum = createFedAvg({ parameterCount, weighting, memories });
  const total = { wallMs: 0, cpuMs: 0 };
  const count = async (run: () => unknown) => {
    const { wallMs, cpuMs } = await timed(run);
    total.wallMs += wallMs;
    total.cpuMs += cpuMs;
  };
  const rest = deltas.map((delta, i) => ({ delta: denseDelta(delta), numExamples: 10 + i }));
  while (rest.length > 0) {
    const inSlots: typeof rest = [];
    const slots: UpdateSlot[] = [];
    // As many at a time as there are slots; all of them where there are none.
    for (let next = rest[0]; next !== undefined; next = rest[0]) {
      const slot = sum.slots.take(next.delta.payload.length);
      if (slot === undefined && slots.length > 0) break;
      slot?.bytes.set(next.delta.payload);
      if (slot !== undefined) slots.push(slot);
      const delta = slot === undefined ? next.delta : { ...next.delta, payload: slot.bytes };
      inSlots.push({ ...next, delta });
      rest.shift();
    }
    await count(() => {
      for (const input of inSlots) sum.add(input);
    });
    for (const slot of slots) slot.release();
  }
  await count(() => sum.mean());
  sum.close();
  return total;
}

/** Eight chains of additions, so that memory is what it waits for, as far as JavaScript can. */
function readHere(deltas: readonly Float32Array[]): number {
  let sum = 0;
  for (const { buffer, length } of deltas) {
    const words = new Float64Array(buffer, 0, length >> 1);
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i + 7 < words.length; i += 8) {
      a += words[i] as number;
      b += words[i + 1] as number;
      c += words[i + 2] as number;
      d += words[i + 3] as number;
      e += words[i + 4] as number;
      f += words[i + 5] as number;
      g += words[i + 6] as number;
      h += words[i + 7] as number;
    }
    sum += a + b + c + d + e + f + g + h;
  }
  return sum;
}

const NUMPY = `
import numpy
updates, parameters = int(sys.argv[1]), int(sys.argv[2])
matrix = numpy.random.default_rng(1).random((updates, parameters), dtype=numpy.float32)
weights = numpy.arange(10, 10 + updates, dtype=numpy.float32)
`;

const NUMPY_PER_UPDATE = `${NUMPY}
name = "numpy " + numpy.__version__ + " per update"
def turn():
    total = numpy.zeros(parameters, dtype=numpy.float32)
    for i in range(updates):
        total += weights[i] * matrix[i]
    return total / weights.sum()
`;

const NUMPY_AT_ONCE = `${NUMPY}
name = "numpy " + numpy.__version__ + " at once"
def turn():
    return (weights @ matrix) / weights.sum()
`;
