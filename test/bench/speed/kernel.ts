/** The kernel of sums: norm and weighted sum of encoded updates, beside its plain twin, C, and reading the memory. */

import type { ValueEncoding } from "@tributary/protocol";
import { maxPayloadBytes, scaleBytes } from "@tributary/protocol";

import type { MeanAggregator } from "../../../coordinator/src/aggregation/aggregator.ts";
import type { EncodedDelta } from "../../../coordinator/src/aggregation/encoded-delta.ts";
import { createFedAvg } from "../../../coordinator/src/aggregation/fed-avg.ts";
import type { DeltaSum } from "../../../coordinator/src/aggregation/kernel/delta-sum.ts";
import { normOf } from "../../../coordinator/src/aggregation/kernel/open-kernel.ts";
import { createPlainSum, plainNorm } from "../../../coordinator/src/aggregation/kernel/plain.ts";
import { openSimdSum } from "../../../coordinator/src/aggregation/kernel/simd-sum.ts";
import { mapSpread, spreadOf } from "./measure.ts";
import type { Goal, Row, Section } from "./section.ts";
import type { SumBound } from "./sum-bound.ts";
import { openSumBound } from "./sum-bound.ts";

interface Size {
  readonly parameters: number;
  readonly updates: number;
  readonly runs: number;
}

interface Case {
  readonly name: string;
  readonly isReference?: boolean;
  /** @returns CPU time in milliseconds */
  run(): number | Promise<number>;
}

const ENCODINGS: readonly ValueEncoding[] = ["float32", "bfloat16", "int8", "int4"];

export const kernelSection: Section = {
  name: "kernel",
  title: "Weighted sums of updates in memory",
  run: async (mini) => {
    const sizes = mini
      ? [{ parameters: 20_000, updates: 4, runs: 1 }]
      : [
          { parameters: 1_000_000, updates: 20, runs: 15 },
          { parameters: 10_000_000, updates: 4, runs: 7 },
        ];
    const rows: Row[] = [];
    const goals: Goal[] = [];
    let hasGcc = true;
    for (const size of sizes) {
      const bound = await openSumBound(size.parameters, size.updates);
      hasGcc &&= bound !== undefined;
      try {
        const measured = await measureCases(casesOf(size, bound), size.runs);
        rows.push(...rowsOf(size, measured));
        goals.push(...goalsOf(size, measured));
      } finally {
        await bound?.close();
      }
    }
    return {
      rows,
      goals,
      notes: [
        "All updates lie in memory before; what is measured is CPU time from there to the sum. Sums are float64 but where it says float32.",
        "Copied in: from memory that is in the cache as bytes off a socket are, into slots of the sum, by 64 KB.",
        "whole: each element is rounded to the public grid before it is added, as under central privacy.",
        ...(hasGcc ? [] : ["There is no gcc here, so neither C nor the read limit is measured."]),
      ],
    };
  },
};

function casesOf({ parameters, updates }: Size, bound: SumBound | undefined): Case[] {
  const ours = ENCODINGS.flatMap((kind): Case[] => {
    const slotBytes = maxPayloadBytes({ kind }, parameters);
    const open = (whole: boolean) => openSimdSum(parameters, { slotBytes, whole });
    const [sum, wholeSum] = [open(false), open(true)];
    if (sum === undefined || wholeSum === undefined) return [];
    const deltas = fill(sum, kind, parameters, updates);
    const wholeDeltas = fill(wholeSum, kind, parameters, updates);
    return [
      { name: `${kind}: norm`, run: () => cpuOf(() => deltas.forEach(normOf)) },
      { name: `${kind}: sum`, run: () => cpuOf(() => addAll(sum, deltas)) },
      { name: `${kind}: sum, whole`, run: () => cpuOf(() => addAll(wholeSum, wholeDeltas)) },
    ];
  });
  const ingests = (["float32", "int8"] as const).map((kind): Case => {
    const slotBytes = maxPayloadBytes({ kind }, parameters);
    const weighting = { kind: "uniform" } as const;
    const average = createFedAvg({
      parameterCount: parameters,
      weighting,
      slotBytes,
      clippingNorm: 1,
    });
    // One update's bytes for all: in the cache, as what has just come from a socket is.
    const [delta] = fill(undefined, kind, parameters, 1) as [EncodedDelta];
    const deltas = Array.from({ length: updates }, () => delta);
    const name = `${kind}: copied in by 64 KB, norm, clip, sum`;
    return { name, run: () => cpuOf(() => takeIn(average, deltas)) };
  });
  const plain = createPlainSum(parameters);
  const dense = fill(undefined, "float32", parameters, updates);
  const bounds = (
    [
      ["read", "C: reading the memory"],
      ["float32", "C, float32: sum"],
      ["float64", "C, float64: sum"],
    ] as const
  ).map(([what, name]) => ({ name, isReference: true, run: () => bound?.run(what) ?? Number.NaN }));
  return [
    ...(bound === undefined ? [] : bounds),
    ...ours,
    ...ingests,
    { name: "float32, plain code: norm", run: () => cpuOf(() => dense.forEach(plainNorm)) },
    { name: "float32, plain code: sum", run: () => cpuOf(() => addAll(plain, dense)) },
  ];
}

/** Deltas in the sum's own slots; without a sum, anywhere. */
function fill(
  sum: DeltaSum | undefined,
  kind: ValueEncoding,
  parameterCount: number,
  updates: number,
): EncodedDelta[] {
  const bytes = maxPayloadBytes({ kind }, parameterCount);
  return Array.from({ length: updates }, (_, update) => {
    const payload = sum === undefined ? new Uint8Array(bytes) : sum.slots.take(bytes)?.bytes;
    if (payload === undefined) throw new Error(`there are less than ${updates} slots`);
    const view = new DataView(payload.buffer, payload.byteOffset, bytes);
    const value = (i: number) => Math.sin(i + update) * 1e-2;
    const scaled = scaleBytes(kind, parameterCount);
    for (let at = 0; at < scaled; at += 4) view.setFloat32(at, 1e-4, true);
    if (scaled > 0) for (let at = scaled; at < bytes; at++) payload[at] = 0x11 + ((at * 7) & 0x66);
    else if (kind === "float32")
      for (let i = 0; i < bytes; i += 4) view.setFloat32(i, value(i), true);
    else for (let i = 0; i < bytes; i += 2) view.setUint16(i, 0x3c00 + ((i * 31) & 0xff), true);
    return { encoding: { kind }, parameterCount, payload };
  });
}

function addAll(sum: DeltaSum, deltas: readonly EncodedDelta[]): void {
  for (const delta of deltas) sum.add(delta, 0.25);
  sum.sum();
}

/** As uploads are: chunk by chunk into slots, which are soon free again and so still in the processor's cache. */
function takeIn(average: MeanAggregator, deltas: readonly EncodedDelta[]): void {
  for (const { payload, ...rest } of deltas) {
    const slot = average.slots.take(payload.length);
    if (slot === undefined) throw new Error("no slot is free");
    for (let at = 0; at < payload.length; at += 65_536) {
      slot.bytes.set(payload.subarray(at, at + 65_536), at);
    }
    const delta = { ...rest, payload: slot.bytes };
    average.add({ delta, numExamples: 1, norm: normOf(delta) });
    slot.release();
  }
  average.sum();
}

function cpuOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** Turn by turn, so that what else the machine does falls on all of them; the first two turns warm up. */
async function measureCases(
  cases: readonly Case[],
  runs: number,
): Promise<Map<Case, readonly number[]>> {
  const times = new Map(cases.map((one) => [one, [] as number[]]));
  for (let turn = -2; turn < runs; turn++) {
    for (const [one, measured] of times) {
      const ms = await one.run();
      if (turn >= 0) measured.push(ms);
    }
  }
  return times;
}

const sizeName = ({ parameters, updates }: Size) => `${parameters / 1e6} M x ${updates}`;

function rowsOf(size: Size, measured: Map<Case, readonly number[]>): Row[] {
  const params = size.parameters * size.updates;
  return [...measured].map(([{ name, isReference = false }, times]) => {
    const ms = spreadOf(times);
    return {
      name: `${name}, ${sizeName(size)}`,
      isReference,
      values: { "ms CPU": ms, "Gparam/s": mapSpread(ms, (median) => params / median / 1e6) },
    };
  });
}

function goalsOf(size: Size, measured: Map<Case, readonly number[]>): Goal[] {
  const of = (wanted: string) => {
    const [, times = []] = [...measured].find(([{ name }]) => name === wanted) ?? [];
    return times.length === 0 ? undefined : spreadOf(times).median;
  };
  const goal = (name: string, measuredNow: number, most: number, unit = ""): Goal => ({
    name: `${name}, ${sizeName(size)}`,
    aim: `at most ${most}${unit}`,
    measured: Number(measuredNow.toPrecision(3)),
    isReached: measuredNow <= most,
  });
  const [ingest, sum, read, int8] = [
    "float32: copied in by 64 KB, norm, clip, sum",
    "float32: sum",
    "C: reading the memory",
    "int8: sum",
  ].map(of);
  const goals: Goal[] = [];
  if (sum !== undefined && read !== undefined) {
    goals.push(goal("float32 sum against reading the memory", sum / read, 1.7, " times"));
  }
  if (size.parameters !== 1_000_000) return goals;
  if (ingest !== undefined) {
    goals.push(goal("float32, copied in, norm, clip, sum", ingest, 6, " ms CPU"));
  }
  if (int8 !== undefined) {
    const rate = (size.parameters * size.updates) / int8 / 1e6;
    goals.push({
      name: `int8 sum, ${sizeName(size)}`,
      aim: "at least 8 Gparam/s",
      measured: Number(rate.toPrecision(3)),
      isReached: rate >= 8,
    });
  }
  return goals;
}
