/** The system's clock, the only one outside tests. */

import type { Clock } from "./ports.ts";

/** Longest delay a Node timer takes; a later alarm fires early, and its owner looks at the clock again. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(delayMs, LONGEST_DELAY_MS));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
