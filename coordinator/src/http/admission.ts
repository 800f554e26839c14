/**
 * A bounded number of turns in a bounded memory, and a bounded queue for them: what is beyond is refused at
 * once. Turns come in order of arrival, so that a large body is not passed over by small ones for ever.
 * Each sender has one place; a newer request of the same sender takes it from the older one, which is most
 * likely a connection that died, and never costs others a turn.
 */

import { FederatedError } from "@tributary/protocol";

import { overLimit } from "../limits/limit.ts";

/** Gives the turn back; calling it again changes nothing. */
export type Turn = () => void;

export interface Admission {
  /**
   * Waits for a turn. One that needs more than all of the memory has it alone: its task exists, and a turn
   * that can never come would stop it without a word.
   * @param bytes memory that it needs while it has its turn
   * @param ending of the request: ends its wait, and is aborted (ABORTED) when a newer request of the same sender takes
   * over before the turn was given back
   * @throws FederatedError RATE_LIMITED when the queue is full; the reason of `ending` when that aborts
   */
  enter(sender: string, bytes: number, ending: AbortController): Promise<Turn>;
  readonly active: number;
  readonly bytes: number;
  readonly waiting: number;
}

export interface AdmissionOptions {
  readonly concurrent: number;
  readonly queued: number;
  readonly memoryBytes: number;
  /** What a refused one is told to wait. */
  readonly retryAfterMs: number;
}

interface Waiting {
  readonly bytes: number;
  start(): void;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { concurrent, queued, memoryBytes, retryAfterMs } = options;
  const queue = new Set<Waiting>();
  /** The newest request of each sender that waits or has its turn. */
  const places = new Map<string, AbortController>();
  let active = 0;
  let usedBytes = 0;

  const fits = (bytes: number) =>
    active < concurrent && (active === 0 || usedBytes + bytes <= memoryBytes);

  function takeTurn(sender: string, bytes: number, place: AbortController): Turn {
    active += 1;
    usedBytes += bytes;
    let held = true;
    const leave = () => {
      if (!held) return;
      held = false;
      active -= 1;
      usedBytes -= bytes;
      free(sender, place);
      startNext();
    };
    return leave;
  }

  function startNext(): void {
    for (const next of queue) {
      if (!fits(next.bytes)) return;
      next.start();
    }
  }

  function free(sender: string, place: AbortController): void {
    if (places.get(sender) === place) places.delete(sender);
  }

  function waitForTurn(sender: string, bytes: number, place: AbortController): Promise<Turn> {
    const { signal: ended } = place;
    return new Promise((resolve, reject) => {
      const leaveQueue = () => {
        queue.delete(waiting);
        ended.removeEventListener("abort", abort);
      };
      const waiting: Waiting = {
        bytes,
        start: () => {
          leaveQueue();
          resolve(takeTurn(sender, bytes, place));
        },
      };
      const abort = () => {
        leaveQueue();
        free(sender, place);
        reject(ended.reason as Error);
        // It may have been the one that did not fit.
        startNext();
      };
      queue.add(waiting);
      ended.addEventListener("abort", abort, { once: true });
    });
  }

  return {
    get active() {
      return active;
    },
    get bytes() {
      return usedBytes;
    },
    get waiting() {
      return queue.size;
    },
    enter: async (sender, bytes, ending) => {
      ending.signal.throwIfAborted();
      const message = "a newer upload of the same participant took over";
      places.get(sender)?.abort(new FederatedError("ABORTED", message));
      if (queue.size === 0 && fits(bytes)) {
        places.set(sender, ending);
        return takeTurn(sender, bytes, ending);
      }
      if (queue.size >= queued) {
        const busy = `${active} uploads with ${usedBytes} bytes are under way and ${queue.size} wait`;
        throw overLimit("queuedUploads", `${busy}; try again later`, retryAfterMs);
      }
      places.set(sender, ending);
      return waitForTurn(sender, bytes, ending);
    },
  };
}
