/** Waiting that can be called off: pauses, time limits, and exponential backoff with full jitter. */

import { FederatedError } from "@tributary/protocol";

export interface BackoffOptions {
  /** Upper bound of the first pause; doubles with every further failure. */
  readonly baseMs: number;
  /** No upper bound grows beyond this. */
  readonly maxMs: number;
  /** A number in [0, 1). */
  readonly random: () => number;
}

/** Half a second: a short hiccup is over by then. One minute: a coordinator is back soon after. */
export const DEFAULT_BACKOFF: BackoffOptions = {
  baseMs: 500,
  maxMs: 60_000,
  random: Math.random,
};

/** Longer ones overflow a timer, which then rings at once: a flood where a pause was asked for. */
export const LONGEST_PAUSE_MS = 2 ** 31 - 1;

/**
 * Pause before the next try: uniform in [0, min(maxMs, baseMs * 2^(failures - 1))], on top of what the
 * coordinator asked for, so that clients told the same do not all come back at once.
 * @param failures failures in a row so far, >= 1
 */
export function backoffDelay(
  failures: number,
  { baseMs, maxMs, random }: BackoffOptions,
  retryAfterMs = 0,
): number {
  const exponent = Math.min(Math.max(failures, 1) - 1, 30);
  const pauseMs = retryAfterMs + random() * Math.min(maxMs, baseMs * 2 ** exponent);
  return Math.min(pauseMs, LONGEST_PAUSE_MS);
}

export const abortedError = (cause?: unknown) =>
  new FederatedError("ABORTED", "the operation was called off", { cause });

/** @throws FederatedError ABORTED once `signal` is aborted */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal.reason);
}

/** Resolves after `delayMs`. @throws FederatedError ABORTED as soon as `signal` is aborted */
export async function delay(delayMs: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await orAborted(
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, delayMs);
      }),
      signal,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** What `promise` gives. @throws FederatedError ABORTED as soon as `signal` is aborted */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  throwIfAborted(signal);
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortedError(signal.reason));
  });
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Runs `work` with a signal that aborts with `signal` or after `timeoutMs`. Timer and listener are
 * gone when it returns, which `AbortSignal.any` on a long-lived signal does not promise.
 * @throws FederatedError UNAVAILABLE on time-out, ABORTED when `signal` aborted, or what `work` threw
 */
export async function withTimeout<T>(
  signal: AbortSignal,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener("abort", onAbort);
  const timeout = new FederatedError("UNAVAILABLE", `no answer within ${timeoutMs} ms`);
  const timer = setTimeout(() => controller.abort(timeout), timeoutMs);
  try {
    return await work(controller.signal);
  } catch (error) {
    throwIfAborted(signal);
    throw controller.signal.aborted ? timeout : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
