/**
 * How much of all uploads one turn of the event loop takes. Without it a turn would read two megabytes of each
 * connection that has them, and with fifty of those everybody else would wait for a hundred.
 */

/** Received, summed and copied in a few milliseconds. */
export const BYTES_PER_TURN = 2 ** 20;

export interface TurnBudget {
  /** @returns whether more may be read in this turn */
  spend(bytes: number): boolean;
  /** Calls `goOn` when the next turn begins. */
  nextTurn(goOn: () => void): void;
}

export function createTurnBudget(bytesPerTurn: number = BYTES_PER_TURN): TurnBudget {
  let left = bytesPerTurn;
  let isWaiting = false;
  const waiting: (() => void)[] = [];
  /** After everything that this turn has to read. */
  const renew = () => {
    isWaiting = false;
    left = bytesPerTurn;
    for (const goOn of waiting.splice(0)) goOn();
  };
  const expectNextTurn = () => {
    if (isWaiting) return;
    isWaiting = true;
    setImmediate(renew);
  };
  return {
    spend: (bytes) => {
      left -= bytes;
      expectNextTurn();
      return left > 0;
    },
    nextTurn: (goOn) => {
      waiting.push(goOn);
      expectNextTurn();
    },
  };
}

/** Of the process: all of its uploads share one event loop. */
export const turnBudget = createTurnBudget();
