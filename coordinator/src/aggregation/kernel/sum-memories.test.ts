import { describe, expect, test } from "vitest";

import { createGrid } from "../../privacy/grid.ts";
import type { EncodedDelta } from "../encoded-delta.ts";
import { denseDelta } from "../encoded-delta.ts";
import { createFedAvg } from "../fed-avg.ts";
import { createGridSum } from "../grid-sum.ts";
import { createRobustSum } from "../robust/robust-sum.ts";
import type { DeltaSum } from "./delta-sum.ts";
import { openKernel } from "./engine.ts";
import { openDeltaSum } from "./open-kernel.ts";
import { createPlainSum } from "./plain.ts";
import { openSimdSum } from "./simd-sum.ts";
import type { SumMemories } from "./sum-memories.ts";
import { createSumMemories } from "./sum-memories.ts";

const LENGTH = 10_000;
const constant = (value: number, length = LENGTH) =>
  denseDelta(new Float32Array(length).fill(value));

/** A sum of deltas and the memory that it is in. */
function openSum(memories: SumMemories, length = LENGTH) {
  const sum = openDeltaSum(length, { memories });
  return { sum, memory: sum.sum().buffer };
}

function uploadTo({ slots }: Pick<DeltaSum, "slots">, value: number) {
  const slot = slots.take(4 * LENGTH);
  if (slot === undefined) throw new Error("no slot is free");
  slot.bytes.set(constant(value).payload);
  const delta: EncodedDelta = { ...constant(0), payload: slot.bytes };
  return { slot, delta };
}

const isZero = (memory: ArrayBufferLike) =>
  new Uint8Array(memory).every((byte: number) => byte === 0);

describe("memory that is lent again", () => {
  test("[KN11] the memory of a sum that has ended is the next one's, with nothing in it", () => {
    const memories = createSumMemories();
    const first = openSum(memories);
    const taken = [1, 2, 3, 4, 5].map((value) => uploadTo(first.sum, value));
    for (const { slot, delta } of taken) {
      first.sum.add(delta, 0.5);
      slot.release();
    }
    first.sum.add(constant(7), 1);
    expect(first.sum.sum()[0]).toBe(14.5);
    expect(isZero(first.memory)).toBe(false);
    first.sum.close();
    expect(isZero(first.memory)).toBe(true);
    const second = openSum(memories);
    expect(second.memory).toBe(first.memory);
    second.sum.add(uploadTo(second.sum, 3).delta, 2);
    expect(second.sum.sum().every((value) => value === 6)).toBe(true);
  });

  test("[KN11] it is nobody's while somebody has a slot, who may write there without harm to any other sum", () => {
    const memories = createSumMemories();
    const first = openSum(memories);
    const [late, later] = [uploadTo(first.sum, 1).slot, uploadTo(first.sum, 1).slot];
    first.sum.close();
    expect(memories.idleBytes).toBe(0);
    const second = openSum(memories);
    expect(second.memory).not.toBe(first.memory);
    second.sum.add(uploadTo(second.sum, 2).delta, 1);
    late.bytes.fill(255);
    late.release();
    late.release();
    expect(memories.idleBytes).toBe(0);
    later.bytes.fill(255);
    expect(second.sum.sum().every((value) => value === 2)).toBe(true);
    later.release();
    expect(memories.idleBytes).toBe(first.memory.byteLength);
    const third = openSum(memories);
    expect(third.memory).toBe(first.memory);
    expect(isZero(third.memory)).toBe(true);
  });

  test("[KN11] sums that are open at once have memory of their own, and only the same size is lent again", () => {
    const memories = createSumMemories();
    const [first, second] = [openSum(memories), openSum(memories)];
    expect(first.memory).not.toBe(second.memory);
    first.sum.close();
    expect(openSum(memories, 5 * LENGTH).memory).not.toBe(first.memory);
    expect(openSum(memories).memory).toBe(first.memory);
    expect(openSum(memories).memory).not.toBe(first.memory);
  });

  test("[KN11] a sum ends once: closed again it gives nothing back that is another's now", () => {
    const memories = createSumMemories();
    const first = openSum(memories);
    first.sum.close();
    const second = openSum(memories);
    second.sum.add(constant(4), 1);
    first.sum.close();
    expect(memories.idleBytes).toBe(0);
    expect(second.sum.sum()[0]).toBe(4);
  });

  test("[KN11] of a sum that has ended nothing can be had, nothing added, and no slot", () => {
    const memories = createSumMemories();
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: LENGTH });
    const sums = [
      openDeltaSum(LENGTH, { memories }),
      createPlainSum(LENGTH),
      createGridSum(grid, { memories }),
      createFedAvg({ parameterCount: LENGTH, weighting: { kind: "uniform" }, memories }),
    ];
    for (const sum of sums) {
      sum.close();
      const add = () =>
        "kind" in sum ? sum.add({ delta: constant(1), numExamples: 1 }) : sum.add(constant(1), 1);
      expect(add).toThrow("has ended");
      expect(() => sum.sum()).toThrow("has ended");
      expect(sum.slots.take(4)).toBeUndefined();
    }
    const rule = { kind: "median" } as const;
    const robust = createRobustSum({ rule, parameterCount: 2 });
    robust.add({ delta: constant(1, 2), numExamples: 1 });
    robust.close();
    expect(robust.bytesKept).toBe(0);
    expect(() => robust.add({ delta: constant(1, 2), numExamples: 1 })).toThrow();
  });

  test("[KN11] an exact sum in memory of another task's is exact", () => {
    const memories = createSumMemories();
    const average = createFedAvg({
      ...{ parameterCount: LENGTH, weighting: { kind: "uniform" }, memories },
    });
    average.add({ delta: uploadTo(average, 1e30).delta, numExamples: 1 });
    const memory = average.sum().buffer;
    average.add({ delta: uploadTo(average, 1e30).delta, numExamples: 1 });
    average.close();
    const grid = createGrid({ noiseMultiplier: 1, clippingNorm: 1, parameterCount: LENGTH });
    const [lent, own] = [createGridSum(grid, { memories }), createGridSum(grid)];
    expect(lent.sum().buffer).toBe(memory);
    for (const sum of [lent, own]) sum.add({ delta: constant(1e-3), numExamples: 1 });
    expect(lent.sum()).toEqual(own.sum());
  });
});

describe("memory of large sums", () => {
  const AT_ONCE = 2 ** 26;
  const KERNEL_BYTES = AT_ONCE + 2 ** 20;

  /** Given back full of ones, with turns that come when they are let. */
  function giveBack(): {
    memories: SumMemories;
    bytes: Uint8Array;
    goOn: () => Promise<void>;
  } {
    const turns: (() => void)[] = [];
    const memories = createSumMemories(undefined, () => new Promise((next) => turns.push(next)));
    const kernel = openKernel(KERNEL_BYTES);
    if (kernel === undefined) throw new Error("there is no kernel here");
    const bytes = new Uint8Array(kernel.memory).fill(1);
    memories.giveBack(kernel, KERNEL_BYTES);
    const goOn = async () => {
      for (const next of turns.splice(0)) next();
      await Promise.resolve();
    };
    return { memories, bytes, goOn };
  }
  const at = (bytes: Uint8Array, ...places: number[]) => places.map((place) => bytes[place]);

  test("[KN11] is wiped in several turns of the event loop", async () => {
    const { bytes, goOn } = giveBack();
    expect(at(bytes, 0, AT_ONCE - 1, AT_ONCE, KERNEL_BYTES - 1)).toEqual([0, 0, 1, 1]);
    await goOn();
    expect(at(bytes, AT_ONCE, KERNEL_BYTES - 1)).toEqual([0, 0]);
  });

  test("[KN11] is zero where it must be when it is lent before that, and wiped no more", async () => {
    const { memories, bytes, goOn } = giveBack();
    const zeros = AT_ONCE + 100;
    expect(memories.take(KERNEL_BYTES, zeros)?.memory).toBe(bytes.buffer);
    expect(at(bytes, AT_ONCE, zeros - 1, zeros, KERNEL_BYTES - 1)).toEqual([0, 0, 1, 1]);
    bytes.fill(2);
    await goOn();
    expect(at(bytes, 0, zeros, KERNEL_BYTES - 1)).toEqual([2, 2, 2]);
  });

  test("[KN11] a sum in memory that is full of another's updates begins with zeros", () => {
    const never = () => new Promise<void>(() => undefined);
    const memories = createSumMemories(undefined, never);
    const { slots, ...first } = openDeltaSum(1_000_000, { memories });
    const { buffer } = first.sum();
    const taken = Array.from({ length: 25 }, () => slots.take(4_000_000));
    for (const slot of taken) slot?.bytes.fill(255, 0, 65_536);
    for (const slot of taken) slot?.release();
    first.close();
    // As large, with a longer sum and shorter slots.
    const sizes = { slotBytes: 1_000, memories };
    const opened = openSimdSum(Math.floor((buffer.byteLength - 240_000) / 8), sizes);
    expect(opened?.sum().buffer).toBe(buffer);
    expect(opened?.sum().every((value) => value === 0)).toBe(true);
  });
});

describe("memory that lies idle", () => {
  test("[KN12] is bounded in bytes, the longest idle goes first, and what is larger is not kept", () => {
    const bytes = openSum(createSumMemories()).memory.byteLength;
    const memories = createSumMemories(2 * bytes);
    const open = [1, 2, 3].map(() => openSum(memories));
    for (const { sum } of open) sum.close();
    expect(memories.idleBytes).toBe(2 * bytes);
    const again = [openSum(memories).memory, openSum(memories).memory];
    expect(again).toEqual([open[2]!.memory, open[1]!.memory]);
    expect(again[0]).toBe(open[2]!.memory);
    const small = createSumMemories(bytes - 1);
    openSum(small).sum.close();
    expect(small.idleBytes).toBe(0);
  });

  test("[KN12] is let go of when nobody has taken it for a while", () => {
    const memories = createSumMemories();
    const first = openSum(memories);
    first.sum.close();
    memories.age();
    const again = openSum(memories);
    expect(again.memory).toBe(first.memory);
    again.sum.close();
    memories.age();
    expect(memories.idleBytes).toBe(first.memory.byteLength);
    memories.age();
    expect(memories.idleBytes).toBe(0);
  });
});
