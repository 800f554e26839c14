import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { backoffDelay, delay, orAborted, withTimeout } from "./delay.ts";

test("[SDK3] a pause is random, doubles its bound up to a limit, and adds what the coordinator asked for", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 0, max: 100_000 }),
      (failures, coin, retryAfterMs) => {
        const options = { baseMs: 500, maxMs: 60_000, random: () => coin };
        const bound = Math.min(60_000, 500 * 2 ** Math.min(failures - 1, 30));
        const pause = backoffDelay(failures, options, retryAfterMs);
        expect(pause).toBeCloseTo(retryAfterMs + coin * bound, 6);
        expect(pause).toBeLessThanOrEqual(retryAfterMs + 60_000);
      },
    ),
  );
});

test("[SDK4] a pause ends at once when it is called off, and leaves no timer and no listener", async () => {
  vi.useFakeTimers();
  try {
    const controller = new AbortController();
    const removed = vi.spyOn(controller.signal, "removeEventListener");
    const pause = delay(60_000, controller.signal);
    expect(vi.getTimerCount()).toBe(1);
    controller.abort();
    await expect(pause).rejects.toMatchObject({ code: "ABORTED" });
    expect(vi.getTimerCount()).toBe(0);
    expect(removed).toHaveBeenCalledOnce();
    await expect(delay(1, controller.signal)).rejects.toMatchObject({ code: "ABORTED" });
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("[SDK4] a time limit aborts the work, names itself, and is gone when the work ends", async () => {
  vi.useFakeTimers();
  try {
    const { signal } = new AbortController();
    const hang = (within: AbortSignal) => orAborted(new Promise<never>(() => undefined), within);
    const limited = withTimeout(signal, 250, hang);
    const outcome = expect(limited).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: "no answer within 250 ms",
    });
    await vi.advanceTimersByTimeAsync(250);
    await outcome;
    await expect(withTimeout(signal, 250, async () => 5)).resolves.toBe(5);
    expect(vi.getTimerCount()).toBe(0);
    const gone = new AbortController();
    const called = withTimeout(gone.signal, 250, hang);
    gone.abort();
    await expect(called).rejects.toMatchObject({ code: "ABORTED" });
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("[AT2] a pause that is longer than a timer can wait is cut, and never becomes none", async () => {
  const backoff = { baseMs: 500, maxMs: 60_000, random: () => 0.5 };
  for (const retryAfterMs of [1e10, 1e15, 1e308, Infinity]) {
    expect(backoffDelay(1, backoff, retryAfterMs)).toBe(2 ** 31 - 1);
  }
});
