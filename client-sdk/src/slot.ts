/** One piece of work at a time: whoever comes while it runs waits in line. */

import { orAborted } from "./delay.ts";

export interface Slot {
  /**
   * Runs `work` once everything before it has ended.
   * @throws FederatedError ABORTED when `signal` aborts before its turn, or what `work` threw
   */
  run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createSlot(): Slot {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: async (signal, work) => {
      const before = last;
      let release = (): void => undefined;
      const own = new Promise<void>((resolve) => {
        release = resolve;
      });
      // Also one that gives up its place holds the next one back until those before it are done.
      last = before.then(() => own);
      try {
        await orAborted(before, signal);
        return await work();
      } finally {
        release();
      }
    },
  };
}
