/** Time that jumps from one event to the next: what happens later comes later, however long it takes to compute. */

import type { Clock, Instant, Timer } from "../ports.ts";
import { createDueQueue } from "./due-queue.ts";

type Happening = () => void | Promise<void>;

export interface VirtualClock extends Clock {
  /** As `after`, of what may take a while to compute, in which no time passes. */
  after(delayMs: number, run: Happening): Timer;
  /**
   * Goes to the next event and begins it.
   * @returns resolves when it is over; undefined where nothing comes any more, or nothing up to `untilMs`
   */
  step(untilMs: number): Promise<void> | undefined;
  /** Will nothing happen any more? */
  isEmpty(): boolean;
}

/** @param epoch what `now()` begins with */
export function createVirtualClock(epoch: Instant): VirtualClock {
  const queue = createDueQueue<Happening>();
  let time = 0;
  return {
    now: () => epoch + time,
    monotonicMs: () => time,
    after: (delayMs, run) => {
      const due = queue.add(time + Math.max(0, delayMs), run);
      return { cancel: due.callOff };
    },
    isEmpty: () => queue.peek() === undefined,
    step: (untilMs) => {
      const next = queue.peek();
      if (next === undefined || next.ms > untilMs) return undefined;
      queue.take();
      time = next.ms;
      return Promise.resolve(next.item());
    },
  };
}
