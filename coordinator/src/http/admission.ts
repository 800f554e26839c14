/** A bounded number of turns and a bounded queue for them: what is beyond both is refused at once. */

import { FederatedError } from "@tributary/protocol";

export interface Admission {
  /**
   * Waits for a turn.
   * @returns gives the turn back; calling it again changes nothing
   * @throws FederatedError RATE_LIMITED when the queue is full; the signal's reason when it aborts
   */
  enter(signal: AbortSignal): Promise<() => void>;
  readonly active: number;
  readonly waiting: number;
}

export interface AdmissionOptions {
  readonly concurrent: number;
  readonly queued: number;
  /** What a refused one is told to wait. */
  readonly retryAfterMs: number;
}

export function createAdmission({ concurrent, queued, retryAfterMs }: AdmissionOptions): Admission {
  const queue = new Set<() => void>();
  let active = 0;

  function takeTurn(): () => void {
    active += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      active -= 1;
      const [next] = queue;
      next?.();
    };
  }

  return {
    get active() {
      return active;
    },
    get waiting() {
      return queue.size;
    },
    enter: async (signal) => {
      signal.throwIfAborted();
      if (active < concurrent) return takeTurn();
      if (queue.size >= queued) {
        throw new FederatedError(
          "RATE_LIMITED",
          `${active} uploads are under way and ${queue.size} wait; try again later`,
          { retryAfterMs },
        );
      }
      return new Promise((resolve, reject) => {
        const leave = () => {
          queue.delete(start);
          signal.removeEventListener("abort", abort);
        };
        const start = () => {
          leave();
          resolve(takeTurn());
        };
        const abort = () => {
          leave();
          reject(signal.reason as Error);
        };
        queue.add(start);
        signal.addEventListener("abort", abort, { once: true });
      });
    },
  };
}
