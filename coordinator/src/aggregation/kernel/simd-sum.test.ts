import { readFileSync } from "node:fs";

import { maxPayloadBytes } from "@tributary/protocol";
import { describe, expect, test } from "vitest";

import { compileKernels } from "../../../kernels.mjs";
import { resolveConfig } from "../../config/schema.ts";
import type { EncodedDelta } from "../encoded-delta.ts";
import { denseDelta } from "../encoded-delta.ts";
import { createFedAvg } from "../fed-avg.ts";
import { createGridSum } from "../grid-sum.ts";
import { createGrid } from "../../privacy/grid.ts";
import type { DeltaSum } from "./delta-sum.ts";
import { openKernel } from "./engine.ts";
import { openDeltaSum } from "./open-kernel.ts";
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
    const others = takeAll(sum);
    expect(others).toHaveLength(free.length - 3);
    for (const { bytes, release } of others) {
      bytes.fill(255);
      release();
    }
    expect(sum.sum().every((value) => value === 6)).toBe(true);
    expect(takeAll(sum)).toHaveLength(free.length);
  });

  test("[KN6] eight deltas wait at most, the next one ends the waiting of all", () => {
    const sum = open();
    const count = takeAll(open()).length;
    for (let value = 1; value <= 8; value++) sum.add(uploadTo(sum, value).delta, 1);
    const others = takeAll(sum);
    expect(others).toHaveLength(count - 8);
    for (const { release } of others) release();
    sum.add(uploadTo(sum, 9).delta, 1);
    expect(takeAll(sum)).toHaveLength(count - 1);
    expect(sum.sum().every((value) => value === 45)).toBe(true);
  });

  test("[KN6] of large deltas fewer wait, and of a model that takes long one alone", () => {
    const waiting = (parameterCount: number, slotBytes: number) => {
      const sum = openSimdSum(parameterCount, { slotBytes });
      const encoding = { kind: "int4" } as const;
      const delta = { encoding, parameterCount, payload: new Uint8Array(0) };
      const bytes = maxPayloadBytes(encoding, parameterCount);
      let most = 0;
      const free = takeAll({ slots: sum!.slots });
      for (const { release } of free) release();
      for (let i = 0; i < 10; i++) {
        sum!.add({ ...delta, payload: sum!.slots.take(bytes)!.bytes }, 1);
        const left = takeAll({ slots: sum!.slots });
        most = Math.max(most, free.length - left.length);
        for (const { release } of left) release();
      }
      sum!.close();
      return most;
    };
    expect(waiting(10_000, 8_192)).toBe(8);
    expect(waiting(10_000, 2 ** 23)).toBe(4);
    expect(waiting(2 ** 24 + 4_096, 2 ** 24)).toBe(3);
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
