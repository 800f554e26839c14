/** How long the main thread was blocked: by its own turns, and by what the browser calls long tasks. */

export interface Gaps {
  /** Longest time between two turns of the event loop beyond the timer's own. */
  readonly longestGapMs: number;
  /** Tasks of 50 ms and more, as `PerformanceObserver` saw them. */
  readonly longTasks: number;
  readonly longestTaskMs: number;
}

/** Browsers stretch nested timers to this. */
const TIMER_MS = 4;

export function startGapMeter(): () => Promise<Gaps> {
  let running = true;
  let longestGapMs = 0;
  let last = performance.now();
  const turn = () => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - last - TIMER_MS);
    last = now;
    if (running) setTimeout(turn, 0);
  };
  setTimeout(turn, 0);
  const durations: number[] = [];
  const take = (entries: PerformanceEntryList) =>
    durations.push(...entries.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  observer.observe({ type: "longtask" });
  return async () => {
    // The end of the last task, and the observer's own turn.
    await new Promise((resolve) => setTimeout(resolve, 100));
    running = false;
    take(observer.takeRecords());
    observer.disconnect();
    return {
      longestGapMs,
      longTasks: durations.length,
      longestTaskMs: Math.max(0, ...durations),
    };
  };
}
