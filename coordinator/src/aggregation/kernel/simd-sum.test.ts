import { readFileSync } from "node:fs";

import type { Encoding } from "@tributary/protocol";
import { maxPayloadBytes } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { compileKernels } from "../../../kernels.mjs";
import { resolveConfig } from "../../config/schema.ts";
import type { EncodedDelta } from "../encoded-delta.ts";
import { denseDelta } from "../encoded-delta.ts";
import { createFedAvg } from "../fed-avg.ts";
import { createGridSum } from "../grid-sum.ts";
import { SLICE } from "../slices.ts";
import { createGrid } from "../../privacy/grid.ts";
import type { DeltaSum } from "./delta-sum.ts";
import { openKernel } from "./engine.ts";
import { openDeltaSum } from "./open-kernel.ts";
import { SUM_AT } from "./simd-passes.ts";
import { openSimdSum } from "./simd-sum.ts";

const LENGTH = 10_000;
const constant = (value: number) => denseDelta(new Float32Array(LENGTH).fill(value));

function open(parameterCount = LENGTH): DeltaSum {
  const sum = openSimdSum(parameterCount);
  if (sum === undefined) throw new Error("this engine has no SIMD");
  return sum;
}

/** A slot with such a delta in it. */
function uploadTo(sum: Pick<DeltaSum, "slots">, value: number) {
  const slot = sum.slots.take(4 * LENGTH);
  if (slot === undefined) throw new Error("no slot is free");
  slot.bytes.set(constant(value).payload);
  const delta: EncodedDelta = { ...constant(0), payload: slot.bytes };
  return { slot, delta };
}

/** Takes all that are free. */
function takeAll({ slots }: Pick<DeltaSum, "slots">) {
  const taken = [];
  for (let slot = slots.take(4); slot !== undefined; slot = slots.take(4)) taken.push(slot);
  return taken;
}

/** Of the sum in this memory, as far as it is added. */
const firstNumber = (memory: ArrayBufferLike): number =>
  new Float64Array(memory, SUM_AT, 1)[0] as number;

describe("slots", () => {
  test("[KN6] a slot that was given back is taken again, one that is taken is nobody else's", () => {
    const sum = open();
    const all = takeAll(sum);
    expect(all.length).toBeGreaterThanOrEqual(6);
    const places = new Set(all.map(({ bytes }) => bytes.byteOffset));
    expect(places.size).toBe(all.length);
    expect(sum.slots.take(4)).toBeUndefined();
    all[2]!.release();
    all[2]!.release();
    expect(takeAll(sum).map(({ bytes }) => bytes.byteOffset)).toEqual([all[2]!.bytes.byteOffset]);
  });

  test("[KN6] none has more bytes than payloads have, and those that are taken do not overlap", () => {
    const sum = open();
    expect(sum.slots.take(4 * LENGTH + 4_096)).toBeUndefined();
    const slots = [1, 2, 3].map(() => sum.slots.take(4 * LENGTH)!);
    slots.forEach(({ bytes }, i) => bytes.fill(i + 1));
    slots.forEach(({ bytes }, i) => expect(bytes.every((byte) => byte === i + 1)).toBe(true));
    expect(sum.sum().every((value) => value === 0)).toBe(true);
  });

  test("[KN6] a delta that waits keeps its slot, whoever releases it, until its pass is done", () => {
    const sum = open();
    const free = takeAll(sum);
    for (const slot of free) slot.release();
    const uploads = [1, 2, 3].map((value) => uploadTo(sum, value));
    for (const { slot, delta } of uploads) {
      sum.add(delta, 1);
      slot.release();
    }
    const waiting = uploads.map(({ slot }) => slot.bytes.byteOffset);
    const others = Array.from({ length: free.length - 3 }, () => sum.slots.take(4)!);
    expect(others.some(({ bytes }) => waiting.includes(bytes.byteOffset))).toBe(false);
    for (const { bytes, release } of others) {
      bytes.fill(255);
      release();
    }
    expect(sum.sum().every((value) => value === 6)).toBe(true);
    expect(takeAll(sum)).toHaveLength(free.length);
  });

  test("[KN6] the ninth delta ends the waiting of the eight before it", () => {
    const sum = open();
    const { delta } = uploadTo(sum, 1);
    const { buffer } = delta.payload;
    sum.add(delta, 1);
    for (let value = 2; value <= 8; value++) sum.add(uploadTo(sum, value).delta, 1);
    expect(firstNumber(buffer)).toBe(0);
    sum.add(uploadTo(sum, 9).delta, 1);
    expect(firstNumber(buffer)).toBe(36);
    expect(sum.sum().every((value) => value === 45)).toBe(true);
  });

  test("[KN6] those that wait are added when an upload needs the place of one", () => {
    const sum = open();
    const count = takeAll(open()).length;
    const { delta } = uploadTo(sum, 1);
    const { buffer } = delta.payload;
    sum.add(delta, 1);
    for (const value of [2, 3]) sum.add(uploadTo(sum, value).delta, 1);
    expect(sum.slots.take(4 * LENGTH + 4_096)).toBeUndefined();
    for (let i = 3; i < count; i++) sum.slots.take(4);
    expect(firstNumber(buffer)).toBe(0);
    const others = takeAll(sum);
    expect(others).toHaveLength(3);
    expect(firstNumber(buffer)).toBe(6);
    for (const { bytes } of others) bytes.fill(255);
    expect(sum.sum().every((value) => value === 6)).toBe(true);
  });

  test("[KN6] of a sum that is being divided no upload gets a place that is still read", () => {
    const parameterCount = 3 * SLICE;
    const sum = open(parameterCount);
    for (const value of [1, 2, 3]) {
      const { bytes: payload } = sum.slots.take(4 * parameterCount)!;
      new Float32Array(payload.buffer, payload.byteOffset, parameterCount).fill(value);
      sum.add({ ...constant(0), parameterCount, payload }, 1);
    }
    const division = sum.divide(2);
    let step = division.next();
    expect(step.done).toBe(false);
    for (const { bytes } of takeAll(sum)) bytes.fill(255);
    while (step.done !== true) step = division.next();
    expect(step.value.every((value) => value === 3)).toBe(true);
  });

  /** The most deltas that wait at a time, each of which is -8 at its first number. */
  function mostWaiting(parameterCount: number, slotBytes: number): number {
    const encoding: Encoding = { kind: "int4" };
    const sum = openSimdSum(parameterCount, { slotBytes })!;
    let most = 0;
    for (let added = 1; added <= 20; added++) {
      const slot = sum.slots.take(maxPayloadBytes(encoding, parameterCount))!;
      const payload = slot.bytes.fill(0);
      new DataView(payload.buffer, payload.byteOffset).setFloat32(0, 1, true);
      sum.add({ encoding, parameterCount, payload }, 1);
      most = Math.max(most, added - firstNumber(payload.buffer) / -8);
    }
    sum.close();
    return most;
  }

  test("[KN6] eight deltas wait at most, of large ones too, and of a model that takes long fewer", () => {
    expect(mostWaiting(10_000, 8_192)).toBe(8);
    expect(mostWaiting(10_000, 2 ** 23)).toBe(8);
    expect(mostWaiting(2 ** 24 + 4_096, 2 ** 24)).toBe(4);
  });

  test("[KN6] there is a slot for every upload that has its turn, whatever waits for its pass", () => {
    const { limits } = resolveConfig({});
    const sum = open();
    for (let i = 0; i < 200; i++) {
      sum.add(uploadTo(sum, 1).delta, 1);
      const uploads = takeAll(sum);
      expect(uploads.length).toBeGreaterThanOrEqual(limits.concurrentUploads);
      for (const { release } of uploads) release();
    }
    // As many of a large model as their memory allows.
    const large = openSimdSum(LENGTH, { slotBytes: limits.uploadMemoryBytes / 2 - 4_096 });
    for (let i = 0; i < 3; i++) large?.add(constant(1), 1);
    expect([large?.slots.take(4), large?.slots.take(4)]).not.toContain(undefined);
  });

  test("[KN6] with every slot taken deltas from elsewhere are added all the same, and nothing of them is kept", () => {
    const sum = open();
    sum.add(uploadTo(sum, 1).delta, 1);
    takeAll(sum);
    for (let value = 2; value <= 7; value++) {
      const delta = constant(value);
      sum.add(delta, 1);
      delta.payload.fill(255);
    }
    expect(sum.sum().every((value) => value === 28)).toBe(true);
  });

  test("[KN6] a slot that was released before its delta is added is read before anybody else has it", () => {
    const sum = open();
    const { slot, delta } = uploadTo(sum, 5);
    slot.release();
    sum.add(delta, 1);
    for (const { bytes } of takeAll(sum)) bytes.fill(255);
    expect(sum.sum().every((value) => value === 5)).toBe(true);
  });

  test("[KN6] the memory of a sum is what it was after any number of deltas", () => {
    const average = createFedAvg({ parameterCount: LENGTH, weighting: { kind: "uniform" } });
    const before = average.sum();
    for (let i = 0; i < 1_000; i++) {
      const { delta } = uploadTo(average, i % 10);
      average.add({ delta, numExamples: 1 });
    }
    expect(average.sum().buffer).toBe(before.buffer);
    expect(average.sum()).toBe(before);
    expect(average.mean().every((value) => value === 4.5)).toBe(true);
  });

  test("[KN6] the sums of aggregators lend slots from a size on where they pay", () => {
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: LENGTH });
    expect(createGridSum(grid).slots.take(4)?.bytes).toHaveLength(4);
    const small = createFedAvg({ parameterCount: 3, weighting: { kind: "uniform" } });
    expect(small.slots.take(4)).toBeUndefined();
  });
});

describe("engines that cannot", () => {
  const { Module, Instance, Memory, validate } = WebAssembly;

  test("[KN7] without WebAssembly, its SIMD, leave to compile or memory there is no kernel", () => {
    const here = { validate, Module, Instance, Memory };
    const failing = function () {
      throw new RangeError("could not allocate memory");
    } as never;
    expect(openKernel(65_536, here)).toBeDefined();
    expect(openKernel(65_536, {})).toBeUndefined();
    expect(openKernel(65_536, { ...here, validate: () => false, Module: failing })).toBeUndefined();
    expect(openKernel(65_536, { ...here, Module: failing })).toBeUndefined();
    expect(openKernel(65_536, { ...here, Memory: failing })).toBeUndefined();
    expect(openSimdSum(LENGTH, {}, { ...here, Memory: failing })).toBeUndefined();
  });

  test("[KN7] a sum that no kernel has memory for is added in plain code", () => {
    // A slot as large as all memory leaves none for the sum.
    const sum = openDeltaSum(LENGTH, { slotBytes: 2 ** 32 });
    expect(sum.slots.take(4)).toBeUndefined();
    sum.add(constant(3), 0.5);
    expect(sum.sum().every((value) => value === 1.5)).toBe(true);
  });

  test("[KN7] its bytes are what its source compiles to", { timeout: 60_000 }, async () => {
    for (const { file, text } of await compileKernels("src/aggregation/")) {
      expect(readFileSync(file, "utf8"), "run npm run kernels").toBe(text);
    }
  });
});
