/** The clock of engine tests. */

import type { Clock, Timer } from "../ports.ts";

/**
 * Time that moves only when told to; timers fire in order.
 * @param settle waits until all that a timer has set going has come to rest
 */
export function fakeClock(settle: () => Promise<void>) {
  let now = 0;
  let made = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const clock: Clock = {
    now: () => 1_700_000_000_000 + now,
    monotonicMs: () => now,
    after: (delayMs, run): Timer => {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      made += 1;
      return { cancel: () => void timers.delete(timer) };
    },
  };
  return {
    clock,
    settle,
    pending: () => timers.size,
    /** How many were ever set. */
    made: () => made,
    advance: async (ms: number) => {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((x, y) => x.at - y.at);
        if (next === undefined) break;
        now = Math.max(now, next.at);
        timers.delete(next);
        next.run();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}
