/**
 * A clock that stands still while the coordinator does: a process that is stopped, asleep or blocked
 * cannot hear its clients, so that time is nobody's fault and runs against no deadline.
 */

import type { Clock, Timer } from "./ports.ts";

export interface AttentiveClock extends Clock {
  /** Ends its beat; afterwards it goes on as the clock beneath. */
  stop(): void;
}

/** Four looks a second cost nothing that can be measured, and tell a second of absence from a busy moment. */
const BEAT_MS = 250;
/** A longer gap between two looks was no work of ours; below it nothing is credited. */
const ABSENCE_MS = 1_000;

/** @param onAbsence is told of each absence, with its length */
export function createAttentiveClock(
  clock: Clock,
  onAbsence: (absentMs: number) => void = () => undefined,
): AttentiveClock {
  let lastLook = clock.monotonicMs();
  let lost = 0;
  let beating = true;
  let beat: Timer | undefined;

  function monotonicMs(): number {
    const now = clock.monotonicMs();
    const gap = now - lastLook;
    lastLook = now;
    // One beat of it may have been a quiet moment before the absence.
    if (beating && gap > ABSENCE_MS) {
      lost += gap - BEAT_MS;
      onAbsence(gap);
    }
    return now - lost;
  }

  function look(): void {
    monotonicMs();
    beat = clock.after(BEAT_MS, look);
  }
  look();

  return {
    now: clock.now,
    monotonicMs,
    after: (delayMs, run) => {
      const due = monotonicMs() + delayMs;
      let timer: Timer;
      const fire = () => {
        const left = due - monotonicMs();
        // A timer may come a fraction of a millisecond early.
        if (left < 1) run();
        else timer = clock.after(left, fire);
      };
      timer = clock.after(delayMs, fire);
      return { cancel: () => timer.cancel() };
    },
    stop: () => {
      beating = false;
      beat?.cancel();
    },
  };
}
