/** Progress at a pace that a page can follow: the newest report now and then, and the last one for certain. */

import type { TrainingProgress } from "../trainer.ts";

/** Ten times a second is as often as anybody looks. */
export const PROGRESS_EVERY_MS = 100;

export interface PacedProgress {
  readonly tell: (progress: TrainingProgress) => void;
  /** Passes on what was held back. */
  readonly flush: () => void;
}

export function paceProgress(
  pass: (progress: TrainingProgress) => void,
  everyMs = PROGRESS_EVERY_MS,
  now: () => number = () => performance.now(),
): PacedProgress {
  let last = -Infinity;
  let held: TrainingProgress | undefined;
  return {
    tell: (progress) => {
      const time = now();
      held = progress;
      if (time - last < everyMs) return;
      last = time;
      held = undefined;
      pass(progress);
    },
    flush: () => {
      if (held !== undefined) pass(held);
      held = undefined;
    },
  };
}
