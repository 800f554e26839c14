/**
 * A sum of encoded deltas with sums.as, in one fixed stretch of memory:
 *
 *     0        lanes of the norm, the table of a pass, then indices and terms of a tile of a sparse delta
 *     65 536   the sum, float64
 *              one slot for the sum's own use, then those that uploads fill
 *
 * Up to eight dense deltas wait in their slots to be added in one pass, which reads the sum once, or until an upload
 * needs the place of one.
 */

import { payloadSections } from "@tributary/protocol";

import type { EncodedDelta } from "../encoded-delta.ts";
import { slicesOf } from "../slices.ts";
import type { Wasm } from "../../wasm.ts";
import type { DeltaSum, DeltaSumOptions, SumStage } from "./delta-sum.ts";
import { assertOpen } from "./delta-sum.ts";
import type { Kernel } from "./engine.ts";
import { MOST_BYTES, openKernel } from "./engine.ts";
import { plainAdd } from "./plain.ts";
import type { DenseEncoding, Weighted } from "./simd-passes.ts";
import {
  addDense,
  addSparse,
  divideSum,
  normAt,
  normThrough,
  SCRATCH_BYTES,
  SUM_AT,
} from "./simd-passes.ts";
import type { KeptSlot } from "./slot-memory.ts";
import { createSlotMemory } from "./slot-memory.ts";
import { noSumMemories } from "./sum-memories.ts";

/** Memory begins where pages do, so that a slot that nobody has used costs none. */
const ALIGNMENT = 4_096;
/** Slots that all began at the same place of a page would have the same few lines of the processor's first cache. */
const STAGGER = 9 * 64;
/** Deltas of one pass; fewer where they have many numbers, as a pass holds the event loop up. */
const MOST_FUSED = 8;
const FUSED_NUMBERS = 5 * 2 ** 24;
/** Slots for those that wait, beside the uploads' own: of large deltas few, as they are memory. */
const [FEW_WAITING, WAITING_BYTES] = [4, 2 ** 25];
/** So many uploads are under way at a time, and no more bytes of them unless it is one alone: as configured by default. */
const [UPLOADS, UPLOADS_BYTES] = [32, 256 * 2 ** 20];

/** By memory, how the norm of a payload in it is measured in place. */
const norms = new WeakMap<ArrayBufferLike, (delta: EncodedDelta) => number>();

/** The norm of a delta in memory of a sum, in place; undefined for any other memory. As `plainNorm`. */
export const normInPlace = (delta: EncodedDelta): number | undefined =>
  norms.get(delta.payload.buffer)?.(delta);

/** The norm of a delta in any memory, which nothing is kept of; undefined where the engine cannot. As `plainNorm`. */
export function normElsewhere(delta: EncodedDelta): number | undefined {
  scratch ??= openKernel(SCRATCH_BYTES) ?? "none";
  if (scratch === "none") return undefined;
  try {
    return normThrough(scratch, delta);
  } finally {
    new Uint8Array(scratch.memory, SUM_AT).fill(0);
  }
}
let scratch: Kernel | "none" | undefined;

/** How many deltas are added together, and how many of them have slots that no upload counts on. */
function waitingOf(parameterCount: number, slotBytes: number) {
  const fused = Math.min(MOST_FUSED, Math.max(1, Math.floor(FUSED_NUMBERS / parameterCount)));
  const spare = Math.min(fused, Math.max(FEW_WAITING, Math.floor(WAITING_BYTES / slotBytes)));
  return { fused, spare };
}

/** undefined where the engine cannot, or has no memory for so many parameters. */
export function openSimdSum(
  parameterCount: number,
  options: DeltaSumOptions = {},
  wasm?: Wasm,
): DeltaSum | undefined {
  const { slotBytes: payloadBytes = 4 * parameterCount, memories = noSumMemories } = options;
  const slotBytes = aligned(payloadBytes) + STAGGER;
  const slotsAt = SUM_AT + aligned(8 * parameterCount);
  const { fused, spare } = waitingOf(parameterCount, slotBytes);
  const uploads = Math.min(UPLOADS, Math.max(1, Math.floor(UPLOADS_BYTES / slotBytes)));
  const possible = Math.floor((MOST_BYTES - slotsAt) / slotBytes) - 1;
  // What waits for its pass has a slot, too, or each upload would make it pass.
  const count = Math.min(possible, uploads + spare);
  if (count < 1) return undefined;
  const opened = memories.take(slotsAt + (1 + count) * slotBytes, slotsAt, wasm);
  if (opened === undefined) return undefined;
  const kernel = opened;
  const { memory } = kernel;
  norms.set(memory, (delta) => normAt(kernel, delta, delta.payload.byteOffset));
  const slots = createSlotMemory(memory, {
    ...{ at: slotsAt + slotBytes, slotBytes, count },
    // Those of a sum that is being divided are added by that.
    makeRoom: () => {
      if (stage === "open" && waiting.length > 0) flush();
    },
  });
  const own: KeptSlot = { at: slotsAt, free: () => undefined };
  const sum = new Float64Array(memory, SUM_AT, parameterCount);
  const { whole = false } = options;
  let waiting: (Weighted & { readonly slot: KeptSlot })[] = [];
  let waitingEncoding: DenseEncoding = "float32";
  let stage: SumStage = "open";

  const stretchOf = (first: number, size: number) => ({
    ...{ encoding: waitingEncoding, count: parameterCount, first, size },
  });

  function flush(): void {
    addDense(kernel, stretchOf(0, parameterCount), waiting, whole);
    letGo();
  }

  function letGo(): void {
    for (const { slot } of waiting) slot.free();
    waiting = [];
  }

  /** Where the payload lies: in a slot that is the sum's now, where need be by a copy. */
  function settle({ payload }: EncodedDelta): { readonly slot: KeptSlot; readonly at: number } {
    const kept = slots.keep(payload);
    if (kept !== undefined) return { slot: kept, at: payload.byteOffset };
    const slot = slots.takeKept() ?? own;
    new Uint8Array(memory, slot.at, payload.length).set(payload);
    return { slot, at: slot.at };
  }

  return {
    slots,
    add: (delta, factor) => {
      assertOpen(stage);
      const { encoding, payload } = delta;
      // Before anything is moved: whether it is as long as it must be.
      payloadSections(encoding, parameterCount, payload);
      if (payload.length > slotBytes) {
        flush();
        plainAdd(sum, delta, factor, options);
      } else if ("values" in encoding) {
        flush();
        const { slot, at } = settle(delta);
        try {
          addSparse(kernel, delta, { at, factor, whole });
        } finally {
          slot.free();
        }
      } else {
        // The last ones wait, to be added in the pass that divides.
        if (waitingEncoding !== encoding.kind || waiting.length === fused) flush();
        waitingEncoding = encoding.kind;
        const place = settle(delta);
        waiting.push({ ...place, factor });
        if (place.slot === own) flush();
      }
    },
    sum: () => {
      assertOpen(stage);
      flush();
      return sum;
    },
    divide: function* (denominator) {
      assertOpen(stage);
      stage = "divided";
      yield* slicesOf(parameterCount, (first, end) => {
        divideSum(kernel, stretchOf(first, end - first), waiting, { whole, denominator });
      });
      letGo();
      return sum;
    },
    close: () => {
      stage = "closed";
      letGo();
      slots.close(() => memories.giveBack(kernel, slots.usedEnd));
    },
  };
}

const aligned = (bytes: number): number => ALIGNMENT * Math.ceil(bytes / ALIGNMENT);
