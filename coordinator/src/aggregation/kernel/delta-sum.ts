/** A sum of encoded deltas in float64: what the kernel and its plain twin both are. */

import type { ValueEncoding } from "@tributary/protocol";

import type { EncodedDelta } from "../encoded-delta.ts";
import type { Slices } from "../slices.ts";
import type { SlotPool } from "../update-slots.ts";
import type { SumMemories } from "./sum-memories.ts";

export interface SlotOptions {
  /** Most bytes of a payload, and so of a slot. Absent: those of float32 numbers. */
  readonly slotBytes?: number;
  /** Where memory comes from and goes to. Absent: each sum has its own. */
  readonly memories?: SumMemories;
}

export interface DeltaSumOptions extends SlotOptions {
  /** Rounds each element to a whole number before it is added, ties to even, for elements up to 2^51. */
  readonly whole?: boolean;
}

export interface DeltaSum {
  readonly slots: SlotPool;
  /**
   * sum += factor * delta. A delta in a slot belongs to the sum from now on; of any other nothing is kept.
   * @throws FederatedError MALFORMED_MESSAGE with the sum as it was
   */
  add(delta: EncodedDelta, factor: number): void;
  /** The live sum, with everything that was added. */
  sum(): Float64Array;
  /**
   * sum / denominator, in slices and in the place of the sum: what was one can no more be read or added to.
   */
  divide(denominator: number): Slices<Float64Array>;
  /**
   * Its end: nothing can be added or read any more, nobody gets a slot, and what `sum()` gave is not to be looked at.
   * Its memory goes back as soon as whoever has a slot has released it.
   */
  close(): void;
}

export type SumStage = "open" | "divided" | "closed";

/** @throws Error for a sum that is none any more */
export function assertOpen(stage: SumStage): void {
  if (stage === "open") return;
  throw new Error(
    stage === "closed"
      ? "the sum of a round that has ended is gone"
      : "the sum has become a mean, once and for all",
  );
}

/** Sums of squares that a norm is made of. */
export const LANES = 8;

export function normOfLanes(lanes: Float64Array): number {
  const lane = (i: number) => lanes[i] as number;
  const [low, high] = [
    lane(0) + lane(1) + (lane(2) + lane(3)),
    lane(4) + lane(5) + (lane(6) + lane(7)),
  ];
  return Math.sqrt(low + high);
}

export const isFloat = (encoding: ValueEncoding): encoding is "float32" | "bfloat16" =>
  encoding === "float32" || encoding === "bfloat16";
