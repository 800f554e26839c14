import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { watchPace } from "./pace.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const options = { bytesPerSecond: 100, graceMs: 2000 };

test("[LIM8] a pause within the grace is nobody's fault, a longer one is noticed once", () => {
  const tooSlow = vi.fn();
  const pace = watchPace(options, tooSlow);
  vi.advanceTimersByTime(1999);
  pace.moved(200);
  vi.advanceTimersByTime(2);
  expect(tooSlow).not.toHaveBeenCalled();
  vi.advanceTimersByTime(60_000);
  expect(tooSlow.mock.calls).toEqual([[0]]);
});

test("[LIM8] who sends fast at first has no credit for a trickle afterwards", () => {
  const tooSlow = vi.fn();
  const pace = watchPace(options, tooSlow);
  pace.moved(1e9);
  for (let i = 0; i < 4; i++) {
    vi.advanceTimersByTime(1000);
    pace.moved(1);
  }
  vi.advanceTimersByTime(10);
  expect(tooSlow.mock.calls).toEqual([[1]]);
});

test("[LIM8] who keeps the pace, or has ended, is left alone, and no timer stays", () => {
  const tooSlow = vi.fn();
  const pace = watchPace(options, tooSlow);
  for (let i = 0; i < 20; i++) {
    pace.moved(100);
    vi.advanceTimersByTime(1000);
  }
  pace.stop();
  vi.advanceTimersByTime(60_000);
  expect(tooSlow).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
