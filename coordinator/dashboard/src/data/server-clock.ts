/** What time it is at the coordinator, for deadlines that it names: from the `Date` of its answers. */

export interface ServerClock {
  /** An answer with this `Date`, in whole seconds, was asked for and came at these local instants. */
  observe(dateMs: number, sentAtMs: number, receivedAtMs: number): void;
  /** The coordinator's time; the local one while nothing was observed. */
  toServer(localMs: number): number;
  /** Server minus local, in milliseconds. */
  readonly offsetMs: number;
}

/** `Date` has no fractions, so that an answer was made within this much after it. */
const DATE_STEP_MS = 1000;

/**
 * Each answer bounds the offset from both sides; together they bound it ever closer. An answer that
 * contradicts them all means that a clock was set, and what was known before is forgotten.
 */
export function createServerClock(): ServerClock {
  let lowest = -Infinity;
  let highest = Infinity;

  const offset = () => (Number.isFinite(lowest) ? (lowest + highest) / 2 : 0);
  return {
    observe: (dateMs, sentAtMs, receivedAtMs) => {
      const low = dateMs - receivedAtMs;
      const high = dateMs + DATE_STEP_MS - sentAtMs;
      const agrees = low <= highest && high >= lowest;
      lowest = agrees ? Math.max(lowest, low) : low;
      highest = agrees ? Math.min(highest, high) : high;
    },
    toServer: (localMs) => localMs + offset(),
    get offsetMs() {
      return offset();
    },
  };
}
