/** Finds out that the other side has stopped answering, where no event tells of it. */

/** So many beats without a word are silence. */
const SILENT_BEATS = 4;

export interface Heartbeat {
  /** Beats from now on; calling it while it beats changes nothing. */
  start(): void;
  stop(): void;
  /** Something was heard. */
  heard(): void;
}

/**
 * While it beats it asks by `ping` now and then, and calls `onSilence` once nothing was heard for `silenceMs`.
 * Beats are counted, not the time on the clock: a page that slept, was frozen or blocked beat as little
 * as the other side could answer.
 */
export function createHeartbeat(
  silenceMs: number,
  ping: () => void,
  onSilence: () => void,
): Heartbeat {
  let timer: ReturnType<typeof setInterval> | undefined;
  let silent = 0;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const beat = () => {
    if (silent >= SILENT_BEATS) {
      stop();
      onSilence();
      return;
    }
    silent += 1;
    ping();
  };
  return {
    start: () => {
      if (timer !== undefined) return;
      silent = 0;
      timer = setInterval(beat, silenceMs / SILENT_BEATS);
    },
    stop,
    heard: () => {
      silent = 0;
    },
  };
}
