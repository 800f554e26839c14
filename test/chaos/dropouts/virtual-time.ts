/** Time that jumps from one alarm to the next: the clock of the engine and of everybody in the simulation. */

import type { Clock, Timer } from "../../../coordinator/src/ports.ts";

export interface VirtualTime {
  readonly clock: Clock;
  /** Fires alarms in order, each followed by `settle`, until nothing is left or `done` says so. */
  run(settle: () => Promise<void>, done: () => boolean): Promise<void>;
}

interface Alarm {
  readonly at: number;
  readonly run: () => void;
  cancelled: boolean;
}

export function createVirtualTime(): VirtualTime {
  let now = 0;
  /** By instant, the earliest last; equal ones in the order in which they were set. */
  const alarms: Alarm[] = [];

  function insert(alarm: Alarm): void {
    let [low, high] = [0, alarms.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((alarms[middle]?.at ?? 0) > alarm.at) low = middle + 1;
      else high = middle;
    }
    alarms.splice(low, 0, alarm);
  }

  return {
    clock: {
      now: () => 1_700_000_000_000 + now,
      monotonicMs: () => now,
      after: (delayMs, run): Timer => {
        const alarm = { at: now + delayMs, run, cancelled: false };
        insert(alarm);
        return { cancel: () => void (alarm.cancelled = true) };
      },
    },
    run: async (settle, done) => {
      while (!done()) {
        const next = alarms.pop();
        if (next === undefined) return;
        if (next.cancelled) continue;
        now = Math.max(now, next.at);
        next.run();
        await settle();
      }
    },
  };
}
