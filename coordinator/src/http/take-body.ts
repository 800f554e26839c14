/** A request's body, chunk by chunk, until its end, a fault, or whatever ends the reading. */

import type { Readable } from "node:stream";

import { FederatedError } from "@tributary/protocol";

import { turnBudget } from "./turn-budget.ts";

/** Who takes a body; what either throws ends the reading. */
export interface BodyTaker<T> {
  take(chunk: Uint8Array): void;
  end(): T;
}

/**
 * No turn of the event loop takes more than its budget, with all other bodies.
 * @param signal ends the reading with its reason
 * @throws FederatedError ABORTED when the sender went away; what the taker threw
 */
export function takeBody<T>(
  body: Readable,
  signal: AbortSignal,
  { take, end }: BodyTaker<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onData = (chunk: Uint8Array) => {
      if (!turnBudget.spend(chunk.length)) {
        body.pause();
        // Also when nobody reads it any more: what is left of it flows by.
        turnBudget.nextTurn(() => body.resume());
      }
      try {
        take(chunk);
      } catch (error) {
        fail(error as Error);
      }
    };
    const onEnd = () => {
      try {
        const taken = end();
        stop();
        resolve(taken);
      } catch (error) {
        fail(error as Error);
      }
    };
    const onGone = () => fail(new FederatedError("ABORTED", "the sender went away"));
    const onAbort = () => fail(signal.reason as Error);
    const fail = (error: Error) => {
      stop();
      reject(error);
    };
    const stop = () => {
      body.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      signal.removeEventListener("abort", onAbort);
    };
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    body.on("error", onGone).on("close", onGone).on("end", onEnd).on("data", onData);
  });
}
