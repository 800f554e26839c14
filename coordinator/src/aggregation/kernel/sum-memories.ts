/**
 * Memory of sums that have ended, for those of later rounds. Fresh memory costs more than all that is done in it: the
 * system brings every page at its first touch, and V8 marks the whole heap for each large piece that comes and goes.
 *
 * A piece belongs to one sum at a time. What lies idle is all zeros, bounded in bytes, and let go of when nobody has
 * taken it for a while.
 */

import type { Wasm } from "../../wasm.ts";
import type { Kernel } from "./engine.ts";
import { memoryBytes, openKernel } from "./engine.ts";

export interface SumMemories {
  /** Memory that has room for so many bytes, all zeros and nobody else's; undefined as `openKernel`. */
  take(bytes: number, wasm?: Wasm): Kernel | undefined;
  /**
   * Of whoever took it and has nothing that reads or writes it any more.
   * @param usedBytes from its first byte on, that may be other than zero
   */
  giveBack(kernel: Kernel, usedBytes: number): void;
  /** Lets go of what nobody has taken since it was called before. */
  age(): void;
  readonly idleBytes: number;
}

/** Of the sum of 10 M parameters with its slots, and some smaller ones. */
const MOST_IDLE_BYTES = 512 * 2 ** 20;

/** @param mostIdleBytes what is more is let go of, the longest idle first */
export function createSumMemories(mostIdleBytes = MOST_IDLE_BYTES): SumMemories {
  /** The one that came last at the end. */
  let idle: { readonly kernel: Kernel; isOld: boolean }[] = [];
  const idleBytes = () => idle.reduce((sum, { kernel }) => sum + kernel.memory.byteLength, 0);
  return {
    get idleBytes() {
      return idleBytes();
    },
    take: (bytes, wasm) => {
      // Of the same size, which is that of the same task's rounds.
      const at = idle.findLastIndex(
        ({ kernel }) => kernel.memory.byteLength === memoryBytes(bytes),
      );
      const [found] = at < 0 ? [] : idle.splice(at, 1);
      return found?.kernel ?? openKernel(bytes, wasm);
    },
    giveBack: (kernel, usedBytes) => {
      if (kernel.memory.byteLength > mostIdleBytes) return;
      new Uint8Array(kernel.memory, 0, usedBytes).fill(0);
      idle.push({ kernel, isOld: false });
      while (idleBytes() > mostIdleBytes) idle.shift();
    },
    age: () => {
      idle = idle.filter(({ isOld }) => !isOld);
      for (const one of idle) one.isOld = true;
    },
  };
}

/** Each sum takes memory of its own and leaves it to the garbage collector. */
export const noSumMemories: SumMemories = {
  take: openKernel,
  giveBack: () => {},
  age: () => {},
  idleBytes: 0,
};
