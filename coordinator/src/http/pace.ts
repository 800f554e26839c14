/**
 * Notices a peer that sends or takes too slowly. In each span of the grace a transfer must move what the
 * rate asks for, so nothing can be banked: who sends fast at first and then stops is noticed as soon.
 */

export interface PaceOptions {
  readonly bytesPerSecond: number;
  /** Pauses up to this are nobody's fault: a few lost packets, a change of networks. */
  readonly graceMs: number;
}

export interface Pace {
  moved(bytes: number): void;
  stop(): void;
}

/** Calls `tooSlow` once, unless stopped before. */
export function watchPace(
  { bytesPerSecond, graceMs }: PaceOptions,
  tooSlow: (bytesPerSecond: number) => void,
): Pace {
  let movedBytes = 0;
  let stopped = false;
  const judge = () => {
    if (stopped) return;
    const rate = (movedBytes * 1000) / graceMs;
    movedBytes = 0;
    if (rate >= bytesPerSecond) return;
    stop();
    tooSlow(rate);
  };
  const timer = setInterval(() => {
    // What came while the process was busy with something else is read first, and counts.
    setImmediate(judge);
  }, graceMs);
  timer.unref();
  const stop = () => {
    stopped = true;
    clearInterval(timer);
  };
  return {
    moved: (bytes) => {
      movedBytes += bytes;
    },
    stop,
  };
}
