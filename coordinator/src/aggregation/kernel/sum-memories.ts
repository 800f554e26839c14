/**
 * Memory of sums that have ended, for those of later rounds. Fresh memory costs more than all that is done in it: the
 * system brings every page at its first touch, and V8 marks the whole heap for each large piece that comes and goes.
 *
 * A piece belongs to one sum at a time. What lies idle is wiped, bounded in bytes, and let go of when nobody has
 * taken it for a while.
 */

import type { Wasm } from "../../wasm.ts";
import type { Kernel } from "./engine.ts";
import { memoryBytes, openKernel } from "./engine.ts";

export interface SumMemories {
  /**
   * Memory that has room for so many bytes and is nobody else's; undefined as `openKernel`.
   * @param zeroBytes from its first byte on, that must be zero; what is behind them is written before it is read
   */
  take(bytes: number, zeroBytes: number, wasm?: Wasm): Kernel | undefined;
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

/** Wiped in some milliseconds; of more of it the rest is wiped in other turns of the event loop. */
const WIPED_AT_ONCE = 2 ** 26;

interface Idle {
  readonly kernel: Kernel;
  /** All that may be other than zero. */
  dirty: { readonly from: number; readonly end: number };
  isOld: boolean;
}

/**
 * @param mostIdleBytes what is more is let go of, the longest idle first
 * @param otherTurns lets what waits run. Absent: memory is wiped in one go
 */
export function createSumMemories(
  mostIdleBytes = MOST_IDLE_BYTES,
  otherTurns?: () => Promise<void>,
): SumMemories {
  /** The one that came last at the end. */
  let idle: Idle[] = [];
  const idleBytes = () => idle.reduce((sum, { kernel }) => sum + kernel.memory.byteLength, 0);

  function wipe(one: Idle, upTo: number): void {
    const { from, end } = one.dirty;
    const to = Math.max(from, Math.min(end, upTo));
    new Uint8Array(one.kernel.memory, from, to - from).fill(0);
    one.dirty = { from: to, end };
  }

  /** Until it is done or the memory is somebody's, who writes to it from then on. */
  async function wipeInTurns(one: Idle, turns: () => Promise<void>): Promise<void> {
    for (;;) {
      if (!idle.includes(one)) return;
      wipe(one, one.dirty.from + WIPED_AT_ONCE);
      if (one.dirty.from === one.dirty.end) return;
      await turns();
    }
  }

  return {
    get idleBytes() {
      return idleBytes();
    },
    take: (bytes, zeroBytes, wasm) => {
      // Of the same size, which is that of the same task's rounds.
      const at = idle.findLastIndex(
        ({ kernel }) => kernel.memory.byteLength === memoryBytes(bytes),
      );
      const [found] = at < 0 ? [] : idle.splice(at, 1);
      if (found === undefined) return openKernel(bytes, wasm);
      wipe(found, zeroBytes);
      return found.kernel;
    },
    giveBack: (kernel, usedBytes) => {
      if (kernel.memory.byteLength > mostIdleBytes) return;
      const one: Idle = { kernel, dirty: { from: 0, end: usedBytes }, isOld: false };
      idle.push(one);
      while (idleBytes() > mostIdleBytes) idle.shift();
      if (otherTurns === undefined) wipe(one, usedBytes);
      else void wipeInTurns(one, otherTurns);
    },
    age: () => {
      idle = idle.filter(({ isOld }) => !isOld);
      for (const one of idle) one.isOld = true;
    },
  };
}

/** Each sum takes memory of its own and leaves it to the garbage collector. */
export const noSumMemories: SumMemories = {
  take: (bytes, _zeroBytes, wasm) => openKernel(bytes, wasm),
  giveBack: () => {},
  age: () => {},
  idleBytes: 0,
};
