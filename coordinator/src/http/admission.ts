/**
 * A bounded number of turns and a bounded queue for them: what is beyond both is refused at once. Each
 * sender has one place; a newer request of the same sender takes it from the older one, which is most
 * likely a connection that died, and never costs others a turn.
 */

import { FederatedError } from "@tributary/protocol";

/** Gives the turn back; calling it again changes nothing. */
export interface Turn {
  (): void;
  /** Aborts when a newer request of the same sender takes over. */
  readonly replaced: AbortSignal;
}

export interface Admission {
  /**
   * Waits for a turn.
   * @throws FederatedError RATE_LIMITED when the queue is full, ABORTED when a newer request of the same
   * sender came; the signal's reason when it aborts
   */
  enter(sender: string, signal: AbortSignal): Promise<Turn>;
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
  /** The newest request of each sender that waits or has its turn. */
  const places = new Map<string, AbortController>();
  let active = 0;

  function takeTurn(sender: string, place: AbortController): Turn {
    active += 1;
    let held = true;
    const leave = () => {
      if (!held) return;
      held = false;
      active -= 1;
      free(sender, place);
      const [next] = queue;
      next?.();
    };
    return Object.assign(leave, { replaced: place.signal });
  }

  function free(sender: string, place: AbortController): void {
    if (places.get(sender) === place) places.delete(sender);
  }

  function waitForTurn(sender: string, place: AbortController, signal: AbortSignal): Promise<Turn> {
    const ended = AbortSignal.any([signal, place.signal]);
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        queue.delete(start);
        ended.removeEventListener("abort", abort);
      };
      const start = () => {
        leaveQueue();
        resolve(takeTurn(sender, place));
      };
      const abort = () => {
        leaveQueue();
        free(sender, place);
        reject(ended.reason as Error);
      };
      queue.add(start);
      ended.addEventListener("abort", abort, { once: true });
    });
  }

  return {
    get active() {
      return active;
    },
    get waiting() {
      return queue.size;
    },
    enter: async (sender, signal) => {
      signal.throwIfAborted();
      const message = "a newer upload of the same participant took over";
      places.get(sender)?.abort(new FederatedError("ABORTED", message));
      const place = new AbortController();
      if (active < concurrent) {
        places.set(sender, place);
        return takeTurn(sender, place);
      }
      if (queue.size >= queued) {
        throw new FederatedError(
          "RATE_LIMITED",
          `${active} uploads are under way and ${queue.size} wait; try again later`,
          { retryAfterMs },
        );
      }
      places.set(sender, place);
      return waitForTurn(sender, place, signal);
    },
  };
}
