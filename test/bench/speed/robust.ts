/** The robust rules over the updates of a round that is there, beside numpy, a bare read of them in C and their mean. */

import type { RobustRule } from "@tributary/protocol";
import { encodePayload } from "@tributary/protocol";

import { denseDelta } from "../../../coordinator/src/aggregation/encoded-delta.ts";
import { createFedAvg } from "../../../coordinator/src/aggregation/fed-avg.ts";
import { encodedRows } from "../../../coordinator/src/aggregation/robust/encoded-rows.ts";
import { createPlainKernel } from "../../../coordinator/src/aggregation/robust/kernel/robust.ts";
import { robustMean } from "../../../coordinator/src/aggregation/robust/robust-mean.ts";
import { createRandom } from "../../support/random.ts";
import type { Measured, Times } from "./measure.ts";
import { mapSpread, takeTurns, timed } from "./measure.ts";
import { startMemoryRead } from "./memory-read.ts";
import type { Reference } from "./reference-process.ts";
import { startPython } from "./reference-process.ts";
import { shortly } from "./round.ts";
import type { Row, Section } from "./section.ts";

/** What was measured of such kernels before: PERFORMANCE's figures are of this size. */
const FULL = { updates: 50, parameters: 1_000_000, runs: 5 };
const MINI = { updates: 7, parameters: 500, runs: 1 };

const rulesFor = (updates: number): readonly (readonly [string, RobustRule])[] => {
  const few = Math.floor(updates / 5);
  return [
    ["median", { kind: "median" }],
    ["trimmed mean", { kind: "trimmedMean", trim: few }],
    ["multi-Krum", { kind: "krum", byzantine: few, select: updates - few - 2 }],
    ["geometric median, 8 steps", { kind: "geometricMedian", iterations: 8, smoothing: 1e-6 }],
    ["centred clipping, 5 steps", { kind: "centredClipping", radius: 1, iterations: 5 }],
    ["bounded norms", { kind: "normBounding", factor: 1 }],
  ];
};

export const robustSection: Section = {
  name: "robust",
  title: "Robust rules",
  run: async (mini) => {
    const { updates, parameters, runs } = mini ? MINI : FULL;
    const random = createRandom(1);
    const vectors = Array.from({ length: updates }, () =>
      Float32Array.from({ length: parameters }, () => random.next() - 0.5),
    );
    const dense = encodedRows(
      vectors.map((vector) => denseDelta(vector).payload),
      { kind: "float32" },
      parameters,
    );
    const bits = (target: Uint16Array) => {
      for (let i = 0; i < target.length; i++) target[i] = Math.floor(random.next() * 65_536);
    };
    const int8 = encodedRows(
      vectors.map((vector) => encodePayload({ kind: "int8" }, vector, bits)),
      { kind: "int8" },
      parameters,
    );
    const cases: Record<string, () => Promise<Times>> = {
      "mean, for comparison": () => timed(() => meanOf(vectors)),
    };
    for (const [name, rule] of rulesFor(updates)) {
      cases[name] = () => timed(() => robustMean(rule, dense));
    }
    cases["median of int8 updates"] = () => timed(() => robustMean({ kind: "median" }, int8));
    cases["median, plain twin"] = () =>
      timed(() => robustMean({ kind: "median" }, dense, { kernelFor: createPlainKernel }));
    const settings = [`${updates}`, `${parameters}`, `${Math.floor(updates / 5)}`];
    await using read = await startMemoryRead({ updates, parameters });
    await using median = await startPython(`${NUMPY}${MEDIAN}`, settings);
    await using trimmed = await startPython(`${NUMPY}${TRIMMED}`, settings);
    await using krum = await startPython(`${NUMPY}${KRUM}`, settings);
    await using geometric = await startPython(`${NUMPY}${GEOMETRIC}`, settings);
    await using clipping = await startPython(`${NUMPY}${CLIPPING}`, settings);
    await using bounding = await startPython(`${NUMPY}${BOUNDING}`, settings);
    const others = [read, median, trimmed, krum, geometric, clipping, bounding].filter(
      (one): one is Reference => one !== undefined,
    );
    for (const other of others) cases[other.name] = () => other.turn();
    const measured = await takeTurns(runs, cases);
    const readMs = read === undefined ? undefined : measured[read.name]?.cpuMs.median;
    const isReference = (name: string) => others.some((other) => other.name === name);
    const rows = Object.entries(measured).map(([name, { cpuMs, wallMs }]: [string, Measured]) => {
      return {
        name: `${updates} x ${shortly(parameters)}: ${name}`,
        isReference: isReference(name),
        values: {
          "ms CPU": cpuMs,
          ms: wallMs,
          "ns CPU per number": mapSpread(cpuMs, (ms) => (1e6 * ms) / (updates * parameters)),
          ...(readMs === undefined ? {} : { "times the read": cpuMs.median / readMs }),
        },
      } satisfies Row;
    });
    return {
      rows,
      notes: [
        "Ours reads the updates as they came and looks whether all numbers are finite; in a coordinator it runs in a thread, which begins in a tenth of a second.",
        "numpy takes ready matrices: numpy.median; numpy.sort and a mean; Krum by norms and X @ X.T, which BLAS computes on all cores and which cancels where updates are alike, where ours takes differences; the others as their formulas are written, in as many steps as ours, in float32.",
        ...(read === undefined ? ["No C compiler is here, so there is no bare read."] : []),
        ...(median === undefined ? ["numpy is not here, so nothing is compared with it."] : []),
      ],
    };
  },
};

function meanOf(vectors: readonly Float32Array[]): Float64Array {
  const parameterCount = vectors[0]?.length ?? 0;
  const sum = createFedAvg({ parameterCount, weighting: { kind: "uniform" } });
  for (const vector of vectors) sum.add({ delta: denseDelta(vector), numExamples: 1 });
  return sum.mean();
}

const NUMPY = `
import numpy
updates, parameters, few = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
matrix = numpy.random.default_rng(1).random((updates, parameters), dtype=numpy.float32) - numpy.float32(0.5)
`;

const MEDIAN = `
name = "numpy " + numpy.__version__ + ", median"
def turn():
    numpy.median(matrix, axis=0)
`;

const TRIMMED = `
name = "numpy " + numpy.__version__ + ", trimmed mean"
def turn():
    numpy.sort(matrix, axis=0)[few:updates - few].mean(axis=0)
`;

const KRUM = `
name = "numpy " + numpy.__version__ + ", multi-Krum"
def turn():
    norms = (matrix * matrix).sum(axis=1)
    distances = norms[:, None] + norms[None, :] - 2 * (matrix @ matrix.T)
    numpy.fill_diagonal(distances, numpy.inf)
    scores = numpy.sort(distances, axis=1)[:, :updates - few - 2].sum(axis=1)
    matrix[numpy.argsort(scores, kind="stable")[:updates - few - 2]].mean(axis=0)
`;

const GEOMETRIC = `
name = "numpy " + numpy.__version__ + ", geometric median, 8 steps"
def turn():
    point = numpy.zeros(parameters, dtype=numpy.float32)
    for step in range(8):
        weights = 1 / numpy.maximum(numpy.linalg.norm(matrix - point, axis=1), 1e-6)
        point = (weights / weights.sum()) @ matrix
`;

const CLIPPING = `
name = "numpy " + numpy.__version__ + ", centred clipping, 5 steps"
def turn():
    centre = numpy.zeros(parameters, dtype=numpy.float32)
    for step in range(5):
        away = matrix - centre
        share = numpy.minimum(1, 1 / numpy.linalg.norm(away, axis=1))
        centre = centre + (share / updates) @ away
`;

const BOUNDING = `
name = "numpy " + numpy.__version__ + ", bounded norms"
def turn():
    norms = numpy.linalg.norm(matrix, axis=1)
    (numpy.minimum(1, numpy.median(norms) / norms) / updates) @ matrix
`;
